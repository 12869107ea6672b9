"""The words that are compared by default, all of them chosen by hand before any number was seen.

`GROUPS` are two kinds of things; the first five words of each are the classic example. `MIXED` are everyday nouns of neither
kind: controls are drawn from them, matched in frequency. `TEMPLATES` put a word into sentences that say the same of any word.
`TRANSLATIONS` are nouns with one usual translation each.
"""

GROUPS: dict[str, tuple[str, ...]] = {
    "furniture": tuple(
        "chair table plate knife spoon bed couch desk sofa bench stool mirror pillow carpet lamp shelf fork cabinet".split()
    ),
    "animals": tuple(
        "horse goat sheep cat dog cow bird elephant monkey chicken fish donkey camel lion pig rabbit mouse bear".split()
    ),
}

MIXED: tuple[str, ...] = tuple(
    """
    house water book school car money hand street friend morning game story river music paper doctor garden church police
    hospital city tree mountain bread coffee milk apple rain snow winter summer shirt dress hat jacket shoe ball guitar piano
    train bus boat bridge beach road teacher student baby brother sister mother father question answer country world war peace
    heart eye head foot arm face hair blood fire stone sand field forest lake sea sky sun star picture movie song phone computer
    machine engine wheel key newspaper ticket birthday wedding party week minute year office factory market shop store
    restaurant kitchen bathroom wall floor roof stairs corner building king uncle language island moon letter month hour tower
    """.split()
)

TEMPLATES: tuple[str, ...] = (
    "This is a {word}.",
    "I saw the {word} yesterday.",
    "Where is the {word}?",
    "There is a {word} in the picture.",
)

_TRANSLATIONS = """
chair Stuhl chaise
table Tisch table
plate Teller assiette
knife Messer couteau
spoon Löffel cuillère
bed Bett lit
mirror Spiegel miroir
horse Pferd cheval
sheep Schaf mouton
cat Katze chat
dog Hund chien
cow Kuh vache
bird Vogel oiseau
monkey Affe singe
fish Fisch poisson
house Haus maison
water Wasser eau
book Buch livre
school Schule école
car Auto voiture
money Geld argent
hand Hand main
street Straße rue
friend Freund ami
river Fluss fleuve
tree Baum arbre
mountain Berg montagne
bread Brot pain
milk Milch lait
apple Apfel pomme
rain Regen pluie
snow Schnee neige
winter Winter hiver
summer Sommer été
shirt Hemd chemise
hat Hut chapeau
shoe Schuh chaussure
bridge Brücke pont
beach Strand plage
teacher Lehrer professeur
brother Bruder frère
sister Schwester sœur
heart Herz cœur
head Kopf tête
fire Feuer feu
stone Stein pierre
sky Himmel ciel
letter Brief lettre
key Schlüssel clé
kitchen Küche cuisine
"""

TRANSLATIONS: dict[str, tuple[str, ...]] = dict(
    zip(
        ("English", "German", "French"),
        zip(*(line.split() for line in _TRANSLATIONS.strip().splitlines()), strict=True),
        strict=True,
    )
)
"""Language -> words, the same things in the same order."""
