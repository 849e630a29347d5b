"""Attribution: which parts of an X-ray the prediction rests on, and how far a map of them can be trusted.

One method or one measure a file.
"""
