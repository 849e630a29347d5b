"""The science of CoroNet: networks, training, residual tensors, metrics, audits, attribution and the data rules.

The public names, each in the module that defines it, so that importing one network does not import the other:

- `autoencoder.fpae.FPAE`: eq. (1) to (4) of the paper
- `autoencoder.residual_tensor.TFEN`, `autoencoder.residual_tensor.residual_tensor`: eq. (5) to (7)
- `classifier.architectures.build_cin`, `classifier.coronet.CoroNet`: the CIN, and the whole network of Figure 1
- `learning.loop.fit` with `autoencoder.fpae_learner.autoencoder_learner` or `classifier.cin_learner.cin_learner`
- `metrics`: confusion matrices and intervals; `metrics.scores.figures_of`: all metrics of a test set
- `attribution`, `audits`: one method or one measure a module
- `data.ingest`, `common.manifest`, `data.splitting.split`: from files to a split of patients

Nothing here knows DVC, Prefect or MLflow. `data` and `score_drift` need more than torch, torchvision and numpy, and
`common.weights` needs safetensors, `common.manifest` pandas and pyarrow; the rest does not.
"""
