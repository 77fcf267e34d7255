"""The dialect: how a nanoBragg command line becomes plain nouns, with all the reference's peculiarities."""
