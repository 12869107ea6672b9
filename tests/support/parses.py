"""Gold parses written by hand."""

# Annotated by ourselves: "The cat sees the dogs." and a contraction, "im" = "in dem".
OURS = """# text = The cat sees the dogs.
1	The	the	DET	_	_	2	det	_	_
2	cat	cat	NOUN	_	_	3	nsubj	_	_
3	sees	see	VERB	_	_	0	root	_	_
4	the	the	DET	_	_	5	det	_	_
5	dogs	dog	NOUN	_	_	3	obj	_	SpaceAfter=No
6	.	.	PUNCT	_	_	3	punct	_	SpaceAfter=No

# text = Er schläft im Haus.
1	Er	er	PRON	_	_	2	nsubj:pass	_	_
2	schläft	schlafen	VERB	_	_	0	root	_	_
3-4	im	_	_	_	_	_	_	_	_
3	in	in	ADP	_	_	5	case	_	_
4	dem	der	DET	_	_	5	det	_	_
5	Haus	Haus	NOUN	_	_	2	obl	_	SpaceAfter=No
6	.	.	PUNCT	_	_	2	punct	_	SpaceAfter=No

"""
