"""A trained CoroNet as one file that runs without this project: ONNX or a torch.export program."""
