"""The analyses: each observes a model on prompts, summarises with controls, and presents a report section."""
