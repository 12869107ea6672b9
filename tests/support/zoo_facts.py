"""What public checkpoints publish in config.json and generation_config.json, with small sizes and without their names.

Looked up in copies of the files on the hub: google-t5/t5-small, google/t5-v1_1-base, google/flan-t5, google/mt5-small,
google/byt5-small, google/umt5-small and EleutherAI/pile-t5 (whose published configurations name no model_type),
facebook/bart-base (saved as the body alone, `BartModel`), facebook/bart-large-cnn, facebook/mbart-large-50-many-to-many-mmt,
facebook/m2m100_418M, facebook/nllb-200-distilled-600M, google/pegasus-large and others of its kind, Helsinki-NLP/opus-mt-en-de.
Those of PLBart, the Blenderbots, T5Gemma, Switch Transformers and Whisper are the host's defaults for uclanlp/plbart-base,
facebook/blenderbot-400M-distill, facebook/blenderbot_small-90M, google/t5gemma-2b-2b-prefixlm-it,
google/t5gemma-2-270m-270m, google/switch-base-8 and
openai/whisper-tiny.
"""

from collections.abc import Mapping
from typing import Any

Facts = Mapping[str, Any]

T5: Facts = {
    "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "is_encoder_decoder": True, "decoder_start_token_id": 0,
    "pad_token_id": 0, "eos_token_id": 1, "dropout_rate": 0.1, "initializer_factor": 1.0, "layer_norm_epsilon": 1e-06,
    "relative_attention_num_buckets": 32, "use_cache": True,
    "d_model": 32, "d_kv": 8, "d_ff": 48, "num_heads": 4, "num_layers": 2, "num_decoder_layers": 2,
}  # fmt: skip
T5_SMALL: Facts = {
    **T5, "n_positions": 512, "output_past": True,
    "task_specific_params": {
        "summarization": {
            "early_stopping": True, "length_penalty": 2.0, "max_length": 200, "min_length": 30, "no_repeat_ngram_size": 3,
            "num_beams": 4, "prefix": "summarize: ",
        },
        "translation_en_to_de": {
            "early_stopping": True, "max_length": 300, "num_beams": 4, "prefix": "translate English to German: ",
        },
    },
}  # fmt: skip
GATED: Facts = {
    **T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "output_past": True,
    "num_heads": 3,  # heads times their width is not d_model
}  # fmt: skip
FLAN: Facts = {**GATED, "n_positions": 512, "task_specific_params": T5_SMALL["task_specific_params"]}
MT5: Facts = {
    **GATED, "architectures": ["MT5ForConditionalGeneration"], "model_type": "mt5", "tokenizer_class": "T5Tokenizer",
}  # fmt: skip
BYT5: Facts = {**GATED, "tokenizer_class": "ByT5Tokenizer", "num_layers": 6, "num_decoder_layers": 2}
UMT5: Facts = {
    **{name: value for name, value in GATED.items() if name != "model_type"}, "architectures": ["UMT5ForConditionalGeneration"],
    "dense_act_fn": "gelu_new", "is_gated_act": True, "relative_attention_max_distance": 128, "scalable_attention": True,
    "max_new_tokens": 64, "tokenizer_class": "T5Tokenizer",
}  # fmt: skip
SWITCH: Facts = {
    **{name: value for name, value in T5.items() if name != "num_heads"},
    "architectures": ["SwitchTransformersForConditionalGeneration"], "model_type": "switch_transformers", "num_experts": 8,
    "expert_capacity": 64, "num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1, "encoder_sparse_step": 2,
    "decoder_sparse_step": 2, "router_bias": False, "router_dtype": "float32", "router_ignore_padding_tokens": False,
    "router_jitter_noise": 0.01, "router_aux_loss_coef": 0.001, "router_z_loss_coef": 0.001, "add_router_probs": False,
    "dense_act_fn": "relu", "relative_attention_max_distance": 128, "num_heads": 3,
}  # fmt: skip
T5_GENERATION: Facts = {"_from_model_config": True, "decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}

BART: Facts = {
    "architectures": ["BartForConditionalGeneration"], "model_type": "bart", "is_encoder_decoder": True,
    "activation_function": "gelu", "activation_dropout": 0.1, "attention_dropout": 0.1, "dropout": 0.1, "bos_token_id": 0,
    "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2, "forced_eos_token_id": 2, "init_std": 0.02,
    "max_position_embeddings": 1024, "scale_embedding": False, "normalize_before": False, "normalize_embedding": True,
    "add_final_layer_norm": False, "add_bias_logits": False, "classif_dropout": 0.1, "classifier_dropout": 0.0, "use_cache": True,
    "id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2},
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "num_hidden_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
}  # fmt: skip
BART_IDS: Facts = {
    "_from_model_config": True, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2,
}  # fmt: skip
BASE_GENERATION: Facts = {
    **BART_IDS, "early_stopping": True, "forced_bos_token_id": 0, "forced_eos_token_id": 2, "no_repeat_ngram_size": 3,
    "num_beams": 4,
}  # fmt: skip
CNN_GENERATION: Facts = {**BASE_GENERATION, "length_penalty": 2.0, "max_length": 142, "min_length": 56}
MBART50: Facts = {
    **BART, "architectures": ["MBartForConditionalGeneration"], "model_type": "mbart", "activation_function": "relu",
    "activation_dropout": 0.0, "attention_dropout": 0.0, "scale_embedding": True, "normalize_before": True,
    "add_final_layer_norm": True, "static_position_embeddings": False, "tokenizer_class": "MBart50Tokenizer",
    "early_stopping": True, "max_length": 200, "num_beams": 5,
}  # fmt: skip
M2M100: Facts = {
    **{key: value for key, value in BART.items() if not key.startswith(("id2", "label2", "norm", "add_", "classif", "forced"))},
    "architectures": ["M2M100ForConditionalGeneration"], "model_type": "m2m_100", "activation_function": "relu",
    "activation_dropout": 0.0, "scale_embedding": True, "max_length": 200,
}  # fmt: skip
NLLB: Facts = {**M2M100, "tokenizer_class": "NllbTokenizer"}
NLLB_GENERATION: Facts = {**BART_IDS, "max_length": 200}
M2M100_GENERATION: Facts = {**NLLB_GENERATION, "early_stopping": True, "num_beams": 5}
MBART50_GENERATION: Facts = {**M2M100_GENERATION, "forced_eos_token_id": 2}
PEGASUS_GENERATION: Facts = {
    "_from_model_config": True, "bos_token_id": 0, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0,
    "forced_eos_token_id": 1, "length_penalty": 0.6, "max_length": 64, "num_beams": 8,
}  # fmt: skip
PEGASUS: Facts = {
    **BART, **PEGASUS_GENERATION, "architectures": ["PegasusForConditionalGeneration"], "model_type": "pegasus",
    "activation_function": "relu", "scale_embedding": True, "static_position_embeddings": True, "normalize_before": True,
    "add_final_layer_norm": True, "normalize_embedding": False, "extra_pos_embeddings": 1, "max_position_embeddings": 512,
}  # fmt: skip
MARIAN_GENERATION: Facts = {
    "_from_model_config": True, "bos_token_id": 0, "eos_token_id": 0, "forced_eos_token_id": 0, "max_length": 512, "num_beams": 4,
    "renormalize_logits": True,
}  # fmt: skip
MARIAN: Facts = {
    **BART, "architectures": ["MarianMTModel"], "model_type": "marian", "activation_function": "swish", "activation_dropout": 0.0,
    "attention_dropout": 0.0, "bos_token_id": 0, "eos_token_id": 0, "forced_eos_token_id": 0, "max_length": 512,
    "max_position_embeddings": 512, "num_beams": 4, "scale_embedding": True, "share_encoder_decoder_embeddings": True,
    "static_position_embeddings": True, "normalize_embedding": False,
}  # fmt: skip

PLBART: Facts = {
    **BART, "architectures": ["PLBartForConditionalGeneration"], "model_type": "plbart", "tokenizer_class": "PLBartTokenizer",
    "scale_embedding": True, "decoder_start_token_id": None,
}  # fmt: skip
PLBART_GENERATION: Facts = {
    "_from_model_config": True, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "forced_eos_token_id": 2,
}  # fmt: skip
BLENDERBOT_IDS: Facts = {
    "_from_model_config": True, "bos_token_id": 1, "pad_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 1,
    "forced_eos_token_id": 2,
}  # fmt: skip
BLENDERBOT_GENERATION: Facts = {
    **BLENDERBOT_IDS, "encoder_no_repeat_ngram_size": 3, "length_penalty": 0.65, "max_length": 60, "min_length": 20,
    "no_repeat_ngram_size": 3, "num_beams": 10,
}  # fmt: skip
BLENDERBOT: Facts = {
    **BART, **BLENDERBOT_IDS, "architectures": ["BlenderbotForConditionalGeneration"], "model_type": "blenderbot",
    "scale_embedding": True, "normalize_before": True, "add_final_layer_norm": True, "normalize_embedding": False,
    "max_position_embeddings": 128, "layernorm_variant": "prelayernorm",
}  # fmt: skip
BLENDERBOT_SMALL: Facts = {
    **BART, **BLENDERBOT_IDS, "architectures": ["BlenderbotSmallForConditionalGeneration"], "model_type": "blenderbot-small",
    "scale_embedding": True, "max_position_embeddings": 512, "layernorm_variant": "xlm",
}  # fmt: skip

_GEMMA_STACK: Facts = {
    "attention_bias": False, "attention_dropout": 0.0, "attn_logit_softcapping": 50.0, "bos_token_id": 2, "dropout_rate": 0.0,
    "eos_token_id": 1, "final_logit_softcapping": 30.0, "head_dim": 8, "hidden_activation": "gelu_pytorch_tanh",
    "hidden_size": 32, "initializer_range": 0.02, "intermediate_size": 48, "max_position_embeddings": 8192,
    "model_type": "t5_gemma_module", "num_attention_heads": 8, "num_hidden_layers": 2, "num_key_value_heads": 4,
    "pad_token_id": 0, "query_pre_attn_scalar": 8, "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "sliding_window": 16,
    "use_cache": True,
}  # fmt: skip
T5GEMMA: Facts = {
    "architectures": ["T5GemmaForConditionalGeneration"], "model_type": "t5gemma", "is_encoder_decoder": True,
    "attention_dropout": 0.0, "bos_token_id": 2, "dropout_rate": 0.0, "eos_token_id": 1, "initializer_range": 0.02,
    "pad_token_id": 0, "use_cache": True, "encoder": _GEMMA_STACK, "decoder": _GEMMA_STACK,
}  # fmt: skip
_GEMMA2_STACK: Facts = {
    **{key: value for key, value in _GEMMA_STACK.items() if key != "rope_theta"}, "attn_logit_softcapping": None,
    "final_logit_softcapping": None, "layer_types": ["sliding_attention", "full_attention"], "tie_word_embeddings": True,
    "max_position_embeddings": 131072, "rope_parameters": {
        "full_attention": {"rope_theta": 1000000.0, "rope_type": "default"},
        "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"},
    },
}  # fmt: skip
_GEMMA2_IMAGES: Facts = {
    "model_type": "siglip_vision_model", "attention_dropout": 0.0, "hidden_act": "gelu_pytorch_tanh", "hidden_size": 16,
    "image_size": 28, "intermediate_size": 16, "layer_norm_eps": 1e-06, "num_attention_heads": 2, "num_channels": 3,
    "num_hidden_layers": 1, "patch_size": 14, "vision_use_head": False,
}  # fmt: skip
T5GEMMA2: Facts = {
    "architectures": ["T5Gemma2ForConditionalGeneration"], "model_type": "t5gemma2", "is_encoder_decoder": True,
    "attention_dropout": 0.0, "bos_token_id": 2, "dropout_rate": 0.0, "eos_token_id": 1, "initializer_range": 0.02,
    "pad_token_id": 0, "image_token_index": 256001, "eoi_token_index": 256000,
    "encoder": {
        "model_type": "t5gemma2_encoder", "boi_token_index": 255999, "eoi_token_index": 256000, "image_token_index": 256001,
        "initializer_range": 0.02, "mm_tokens_per_image": 4, "text_config": {**_GEMMA2_STACK, "model_type": "t5gemma2_text"},
        "vision_config": _GEMMA2_IMAGES,
    },
    "decoder": {**_GEMMA2_STACK, "model_type": "t5gemma2_decoder"},
}  # fmt: skip
T5GEMMA_GENERATION: Facts = {"_from_model_config": True, "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}

WHISPER: Facts = {
    "architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "is_encoder_decoder": True,
    "activation_function": "gelu", "activation_dropout": 0.0, "attention_dropout": 0.0, "dropout": 0.0, "decoder_layerdrop": 0.0,
    "encoder_layerdrop": 0.0, "init_std": 0.02, "max_length": 448, "max_target_positions": 448, "num_mel_bins": 80,
    "scale_embedding": False, "use_cache": True, "torch_dtype": "float32",
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "num_hidden_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
    "max_source_positions": 100,  # 1,500 in the public ones: 30 s in place of 2
}  # fmt: skip
WHISPER_EXTRACTOR: Facts = {
    "chunk_length": 2, "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 80, "hop_length": 160, "n_fft": 400,
    "n_samples": 32000, "nb_max_frames": 200, "padding_side": "right", "padding_value": 0.0,
    "processor_class": "WhisperProcessor", "return_attention_mask": False, "sampling_rate": 16000,
}  # fmt: skip
WHISPER_GENERATION: Facts = {
    "alignment_heads": [[0, 1], [1, 3]], "max_initial_timestamp_index": 50, "max_length": 448, "return_timestamps": False,
}  # fmt: skip

LORA: Facts = {
    "peft_type": "LORA", "task_type": "SEQ_2_SEQ_LM", "r": 4, "lora_alpha": 32, "lora_dropout": 0.0, "bias": "none",
    "target_modules": ["q", "v"], "fan_in_fan_out": False, "inference_mode": True, "modules_to_save": None, "use_rslora": False,
    "use_dora": False, "rank_pattern": {}, "alpha_pattern": {}, "init_lora_weights": True, "revision": None,
}  # fmt: skip

GENERATES = frozenset(
    "early_stopping forced_bos_token_id length_penalty max_length min_length no_repeat_ngram_size num_beams max_new_tokens "
    "bad_words_ids task_specific_params _from_model_config model_type architectures torch_dtype tokenizer_class".split()
)
"""Entries of old configurations that a new model's configuration does not take."""
