"""The COVID-19 identification network (CIN), its inputs and training, and the whole CoroNet."""
