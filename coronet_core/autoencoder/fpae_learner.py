"""Training one autoencoder on the images of its class (paper sec. 2.1 and 3.2)."""

import torch
from torch import Tensor
from torch.nn import functional

from coronet_core.autoencoder.corruption import NONE, Corruption, corrupted, draw
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.objective import AutoencoderLoss, autoencoder_loss
from coronet_core.common.batches import Subset, as_image, batches
from coronet_core.common.literals import Precision
from coronet_core.common.precision import autocast
from coronet_core.learning.data_parallel import data_parallel
from coronet_core.learning.early_stopping import EpochMetrics
from coronet_core.learning.loop import Learner
from coronet_core.learning.ranks import ALONE, Ranks


def autoencoder_learner(
    autoencoder: FPAE,
    training: Subset,
    validation: Subset,
    *,
    learning_rate: float,
    weight_decay: float,
    regulariser_weight: float,
    batch_size: int,
    precision: Precision,
    training_size_px: int | None,
    ssim_weight: float = 0.0,
    corruption: Corruption = NONE,
    ranks: Ranks = ALONE,
) -> Learner:
    """Return what `fit` needs to train `autoencoder` by eq. (3) with Adam.

    `training` and `validation` hold uint8 images (n, H, W) of one class. With `training_size_px` the images are
    brought to that side by nearest neighbour before each pass (the authors trained at 512). `batch_size` is that of
    all `ranks` together. With `ssim_weight` 1 - SSIM is added to eq. (3). Training images are shown with the
    `corruption` and compared as they are; validation images are shown as they are.
    """
    device = training.device
    autoencoder.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs
    optimizer = torch.optim.Adam(autoencoder.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True)

    def image_of(images: Subset, positions: Tensor) -> Tensor:
        image = as_image(images.take(positions))  # (B, 1, H, W)
        if training_size_px is not None:
            image = functional.interpolate(image, size=(training_size_px, training_size_px), mode="nearest")
        return image

    def loss_of(
        model: FPAE, image: Tensor, n_images: int, seen: Tensor | None = None, skip_weights: Tensor | None = None
    ) -> AutoencoderLoss:
        with autocast(device, precision):
            return autoencoder_loss(
                model,
                image,
                regulariser_weight,
                n_images,
                ssim_weight=ssim_weight,
                seen=seen,
                skip_weights=skip_weights,
            )

    def terms_of(loss: AutoencoderLoss) -> dict[str, Tensor]:
        return {name: term for name, term in loss._asdict().items() if ssim_weight > 0 or name != "dissimilarity"}

    parallel_loss_of = data_parallel(loss_of, autoencoder, ranks)

    def training_step(positions: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        image = image_of(training, ranks.shard(positions))  # (B, 1, H, W)
        if corruption == NONE:
            return terms_of(parallel_loss_of(image, len(positions)))
        own = ranks.shard(torch.arange(len(positions)))
        drawn = draw(corruption, len(positions), (image.shape[2], image.shape[3]), rng, own, device)
        seen = corrupted(image, drawn, corruption.noise)
        return terms_of(parallel_loss_of(image, len(positions), seen, drawn.skip_weights))

    @torch.inference_mode()
    def validate() -> EpochMetrics:
        autoencoder.eval()
        total = torch.zeros(2, device=device)
        parts = batches(torch.arange(len(validation), device=device), batch_size)
        for positions in parts[ranks.rank :: ranks.size]:
            terms = loss_of(autoencoder, image_of(validation, positions), len(positions))
            total += torch.stack([terms.loss, terms.reconstruction]) * len(positions)
        loss, reconstruction = (value / len(validation) for value in ranks.all_reduce(total).tolist())
        return {"validation_loss": loss, "validation_reconstruction": reconstruction}

    return Learner(
        model=autoencoder,
        optimizer=optimizer,
        n_images=len(training),
        device=device,
        training_step=training_step,
        validate=validate,
        precision=precision,
        ranks=ranks,
    )
