"""Sentences of our own in which one English word means two things, four sentences a sense.

The word stands in the same form in all of them. Senses may differ in grammar as well as in meaning (light: noun, noun).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """A sentence with a word that has several senses.

    Attributes:
        word: the word, as it stands in the sentence.
        sense: a short name of its sense here.
        sentence: the sentence.
    """

    word: str
    sense: str
    sentence: str


_TEXT = """
bank | money
The bank gave my uncle a loan to buy the house.
She opened an account at the bank with her first money.
Two men robbed the bank and ran away with the cash.
The bank closes at four, so pay the bill today.
bank | river
We sat on the bank of the river and fished.
Tall grass grows along the bank of the stream.
The boat lay on the muddy bank near the water.
A boy jumps from the bank into the cold river.
spring | season
In spring the flowers open and the days are warm.
The birds come back every spring after the winter.
It rained a lot last spring, but summer was dry.
We plant the trees in spring or in autumn.
spring | coil
A spring inside the old clock is broken.
The metal spring under the seat squeaks.
He pressed the spring and the lid of the box jumped up.
The machine needs a new steel spring and a screw.
light | lamp
Please turn off the light before you sleep.
The light of the lamp was too bright for my eyes.
A red light shines above the door at night.
There was no light in the dark room.
light | weight
The bag is light, so the child can carry it.
This box is as light as a feather.
He bought a light bicycle because the old one was heavy.
The empty suitcase is light and easy to lift.
match | game
Our team won the match by three goals.
They watched the football match on television.
The tennis match lasted almost four hours.
The players were tired after the match.
match | fire
He lit the candle with a match.
She struck a match and the fire began to burn.
The match burned his fingers before the candle was lit.
Do not play with a match near the dry straw.
ring | jewel
He gave her a gold ring with a small stone.
She wears a silver ring on her finger.
The ring was too big for her hand.
My grandmother lost her wedding ring in the garden.
ring | sound
I heard the telephone ring in the next room.
The bells ring every Sunday at ten.
Did you hear the phone ring this morning?
The alarm will ring at six to wake you.
bat | animal
A bat flew out of the dark cave at night.
The bat hangs upside down and sleeps all day.
A small bat was eating insects in the evening air.
The wings of the bat are thin and brown.
bat | stick
The boy swings the bat and hits the ball.
A baseball player holds his bat and waits for the pitch.
He bought a wooden bat and a glove for the game.
The batter dropped his bat and ran to first base.
plant | leaf
The plant in the pot needs water and sun.
This green plant grows quickly in the garden.
She put the plant on the window sill near the flowers.
The leaves of the plant turned yellow.
plant | factory
Three hundred workers build cars at the plant.
The company closed its chemical plant last year.
The engineers work in a power plant near the city.
The plant makes engines and sells them abroad.
palm | hand
He held the coin in the palm of his hand.
The fortune teller looked at my palm and smiled.
She wrote the number on her palm with a pen.
The baby put its fingers into my palm.
palm | tree
A palm stands on the sandy beach by the sea.
Coconuts hang from the tall palm on the island.
We lay in the shade of a palm near the ocean.
The wind bent the palm on the hot coast.
club | society
She joined a chess club at her school.
The members of the club meet every Friday.
Our club has a new president and fifty members.
He plays football for a club in London.
club | stick
The golfer swings his club at the small white ball.
He hit the golf ball with an iron club.
The cave man carried a heavy wooden club.
The man raised his club to strike the bear.
orange | fruit
She peeled an orange and ate it for breakfast.
The juice of this orange is very sweet.
He bought an orange, an apple and a banana.
A ripe orange fell from the tree.
orange | colour
A man in an orange vest works on the road.
The worker wears an orange helmet and gloves.
She painted the wall in an orange and red pattern.
The boy in the orange shirt kicks the ball.
"""


def _read(text: str) -> tuple[Usage, ...]:
    usages, word, sense = [], "", ""
    for line in text.strip().splitlines():
        if "|" in line:
            word, sense = (part.strip() for part in line.split("|"))
        else:
            usages.append(Usage(word, sense, line))
    return tuple(usages)


USAGES: tuple[Usage, ...] = _read(_TEXT)
"""All sentences, ordered by word and sense."""
