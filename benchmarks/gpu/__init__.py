"""Everything that is measured on a GPU, by one command: `bash benchmarks/on_gpu.sh`.

It needs torch, torchvision, triton, numpy and safetensors, and this repository; nothing has to be installed of it. It
ends by itself after `--minutes` (8). Every measurement has a share of them; what it leaves goes to those behind it,
and what it would take beyond is cut off: it runs in a process of its own, which is killed then, as a measurement that
crashes ends there too. Where there is no GPU the same is tried at a hundredth of the size, and no goal is judged.

`on_gpu.json` and `on_gpu.txt` are written anew with every row (in $OUT, or `benchmarks/gpu_results`; `--out`), so
that what was measured survives being killed. The last lines say of each goal whether it was reached.

1. `card`, `checks`: the card, its rates, and that everything is right there. Golden values of the released
   autoencoders lie in `shared/reference`, in the project or beside it, or where CORONET_REFERENCE or `--reference`
   says. `pytest -m gpu tests/benchmarks` runs the same checks.
2. `autoencoder`, `side_by_side`: a training step of the FPAE in every way, with the paper's batch and the best one.
3. `classifier`, `data`: the CIN's step; residual tensors in bulk; data on the GPU or copied.
4. `protocol`: the paper's protocol extrapolated from whole epochs, and at the very end as many real ones as go.
5. `explainer`: all images at once against one by one.
6. `prediction`: one image, and batches.

`--only PART` takes the measurements whose names contain PART, and the card's rates.
"""
