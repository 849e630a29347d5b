"""Attribution: which parts of an X-ray the prediction rests on. One method a file."""
