"""Stage `package`: everything that predicting needs, in one folder."""
