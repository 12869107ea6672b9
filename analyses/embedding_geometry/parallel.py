"""The sentences of the bundled prompts in three languages, their words aligned by hand.

The English sentences are those of the prompt set `translation`; German and French are our own translations, and where the
prompt set `references` has one, that one. Links join one word with one word, content words only; what one language says with
two words (wooden chair, Holzstuhl) has no link. They were drawn before any number was seen.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WordPair:
    """Two words that translate each other in parallel sentences.

    Attributes:
        sentence: number of the English sentence, from 0.
        english: the English word, as it stands there.
        english_sentence: its sentence.
        foreign: its translation, as it stands there.
        foreign_sentence: that one's sentence.
    """

    sentence: int
    english: str
    english_sentence: str
    foreign: str
    foreign_sentence: str


_TEXT = """
The old man sits on a wooden chair in the garden.
Der alte Mann sitzt auf einem Holzstuhl im Garten. | old alte, man Mann, sits sitzt, garden Garten
Le vieil homme est assis sur une chaise en bois dans le jardin.
| old vieil, man homme, sits assis, wooden bois, chair chaise, garden jardin

A black cat is sleeping under the table.
Eine schwarze Katze schläft unter dem Tisch. | black schwarze, cat Katze, sleeping schläft, table Tisch
Un chat noir dort sous la table. | black noir, cat chat, sleeping dort, table table

The brown horse runs across a green field.
Das braune Pferd läuft über ein grünes Feld. | brown braune, horse Pferd, runs läuft, green grünes, field Feld
Le cheval brun court à travers un champ vert. | brown brun, horse cheval, runs court, green vert, field champ

Three white sheep are walking down the road.
Drei weiße Schafe gehen die Straße entlang. | Three Drei, white weiße, sheep Schafe, walking gehen, road Straße
Trois moutons blancs marchent sur la route.
| Three Trois, white blancs, sheep moutons, walking marchent, road route

A man with a white beard is holding a goat.
Ein Mann mit einem weißen Bart hält eine Ziege. | man Mann, white weißen, beard Bart, holding hält, goat Ziege
Un homme à la barbe blanche tient une chèvre.
| man homme, white blanche, beard barbe, holding tient, goat chèvre

The dog and the cat are lying on the bed.
Der Hund und die Katze liegen auf dem Bett. | dog Hund, cat Katze, lying liegen, bed Bett
Le chien et le chat sont couchés sur le lit. | dog chien, cat chat, lying couchés, bed lit

A bird is sitting on the roof of a car.
Ein Vogel sitzt auf dem Dach eines Autos. | bird Vogel, sitting sitzt, roof Dach, car Autos
Un oiseau est assis sur le toit d'une voiture. | bird oiseau, sitting assis, roof toit, car voiture

Two boys are sitting on a horse in the street.
Zwei Jungen sitzen auf der Straße auf einem Pferd.
| Two Zwei, boys Jungen, sitting sitzen, horse Pferd, street Straße
Deux garçons sont assis sur un cheval dans la rue.
| Two Deux, boys garçons, sitting assis, horse cheval, street rue

Have you ever seen a white horse?
Hast du schon einmal ein weißes Pferd gesehen? | seen gesehen, white weißes, horse Pferd
As-tu déjà vu un cheval blanc ? | seen vu, white blanc, horse cheval

Is there a dog in your house?
Gibt es einen Hund in deinem Haus? | dog Hund, house Haus
Y a-t-il un chien dans ta maison ? | dog chien, house maison

I know that you have a cat.
Ich weiß, dass du eine Katze hast. | know weiß, cat Katze
Je sais que tu as un chat. | know sais, cat chat

A woman is eating soup with a spoon.
Eine Frau isst Suppe mit einem Löffel. | woman Frau, eating isst, soup Suppe, spoon Löffel
Une femme mange de la soupe avec une cuillère. | woman femme, eating mange, soup soupe, spoon cuillère

A man cuts the meat with a big knife.
Ein Mann schneidet das Fleisch mit einem großen Messer.
| man Mann, cuts schneidet, meat Fleisch, big großen, knife Messer
Un homme coupe la viande avec un grand couteau. | man homme, cuts coupe, meat viande, big grand, knife couteau

There is nothing on my plate.
Auf meinem Teller ist nichts. | nothing nichts, plate Teller
Il n'y a rien dans mon assiette. | nothing rien, plate assiette

There is a plate with bread and meat on the table.
Auf dem Tisch steht ein Teller mit Brot und Fleisch. | plate Teller, bread Brot, meat Fleisch, table Tisch
Il y a une assiette avec du pain et de la viande sur la table.
| plate assiette, bread pain, meat viande, table table

He is drinking coffee and reading the newspaper.
Er trinkt Kaffee und liest die Zeitung. | drinking trinkt, coffee Kaffee, reading liest, newspaper Zeitung
Il boit du café et lit le journal. | drinking boit, coffee café, reading lit, newspaper journal

A woman sells fruit and fish at a market.
Eine Frau verkauft Obst und Fisch auf einem Markt. | woman Frau, sells verkauft, fruit Obst, fish Fisch, market Markt
Une femme vend des fruits et du poisson sur un marché.
| woman femme, sells vend, fruit fruits, fish poisson, market marché

The little girl is drawing a horse on the paper.
Das kleine Mädchen zeichnet ein Pferd auf das Papier.
| little kleine, girl Mädchen, drawing zeichnet, horse Pferd, paper Papier
La petite fille dessine un cheval sur le papier.
| little petite, girl fille, drawing dessine, horse cheval, paper papier

Nobody was sitting on the chair by the window.
Niemand saß auf dem Stuhl am Fenster. | Nobody Niemand, sitting saß, chair Stuhl, window Fenster
Personne n'était assis sur la chaise près de la fenêtre.
| Nobody Personne, sitting assis, chair chaise, window fenêtre

There are three chairs and a table in the room.
Im Zimmer stehen drei Stühle und ein Tisch. | three drei, chairs Stühle, table Tisch, room Zimmer
Il y a trois chaises et une table dans la pièce. | three trois, chairs chaises, table table, room pièce

The children play in the snow in front of the house.
Die Kinder spielen im Schnee vor dem Haus. | children Kinder, play spielen, snow Schnee, house Haus
Les enfants jouent dans la neige devant la maison. | children enfants, play jouent, snow neige, house maison

A girl in a yellow coat is jumping over a puddle.
Ein Mädchen in einem gelben Mantel springt über eine Pfütze.
| girl Mädchen, yellow gelben, coat Mantel, jumping springt, puddle Pfütze
Une fille en manteau jaune saute par-dessus une flaque d'eau.
| girl fille, yellow jaune, coat manteau, jumping saute, puddle flaque

It is too cold to swim in the lake.
Es ist zu kalt, um im See zu schwimmen. | cold kalt, swim schwimmen, lake See
Il fait trop froid pour nager dans le lac. | cold froid, swim nager, lake lac

Can you see the boat on the lake?
Kannst du das Boot auf dem See sehen? | see sehen, boat Boot, lake See
Peux-tu voir le bateau sur le lac ? | see voir, boat bateau, lake lac

Some children are jumping into the water.
Einige Kinder springen ins Wasser. | children Kinder, jumping springen, water Wasser
Quelques enfants sautent dans l'eau. | children enfants, jumping sautent

A young couple is walking along the beach at night.
Ein junges Paar geht nachts am Strand entlang.
| young junges, couple Paar, walking geht, beach Strand, night nachts
Un jeune couple marche le long de la plage la nuit.
| young jeune, couple couple, walking marche, beach plage, night nuit

A police officer is standing at the corner of the street.
Ein Polizist steht an der Ecke der Straße. | standing steht, corner Ecke, street Straße
Un policier se tient au coin de la rue. | standing tient, corner coin, street rue

A tall man is helping an old woman cross the street.
Ein großer Mann hilft einer alten Frau über die Straße.
| tall großer, man Mann, helping hilft, old alten, woman Frau, street Straße
Un homme de grande taille aide une vieille femme à traverser la rue.
| man homme, helping aide, old vieille, woman femme, cross traverser, street rue

A man is repairing his bicycle in front of the house.
Ein Mann repariert sein Fahrrad vor dem Haus. | man Mann, repairing repariert, bicycle Fahrrad, house Haus
Un homme répare son vélo devant la maison. | man homme, repairing répare, bicycle vélo, house maison

An old woman is pushing a cart through the market.
Eine alte Frau schiebt einen Karren über den Markt.
| old alte, woman Frau, pushing schiebt, cart Karren, market Markt
Une vieille femme pousse une charrette à travers le marché.
| old vieille, woman femme, pushing pousse, cart charrette, market marché

He reads a book while his wife plays the piano.
Er liest ein Buch, während seine Frau Klavier spielt. | reads liest, book Buch, wife Frau, plays spielt, piano Klavier
Il lit un livre pendant que sa femme joue du piano. | reads lit, book livre, wife femme, plays joue, piano piano

A boy who is wearing a blue shirt throws a ball.
Ein Junge, der ein blaues Hemd trägt, wirft einen Ball.
| boy Junge, wearing trägt, blue blaues, shirt Hemd, throws wirft, ball Ball
Un garçon qui porte une chemise bleue lance un ballon.
| boy garçon, wearing porte, blue bleue, shirt chemise, throws lance, ball ballon
"""


def _read(text: str) -> dict[str, tuple[WordPair, ...]]:
    pairs: dict[str, list[WordPair]] = {"German": [], "French": []}
    for number, paragraph in enumerate(text.strip().split("\n\n")):
        english, translations = paragraph.split("\n", 1)
        fields = [field.strip() for field in translations.replace("\n|", " |").replace("\n", " | ").split("|")]
        for language, sentence, links in zip(pairs, fields[::2], fields[1::2], strict=True):
            for link in links.split(", "):
                word, translation = link.split()
                pairs[language].append(WordPair(number, word, english, translation, sentence))
    return {language: tuple(found) for language, found in pairs.items()}


WORD_PAIRS: dict[str, tuple[WordPair, ...]] = _read(_TEXT)
"""Language -> aligned words, sentence by sentence."""
