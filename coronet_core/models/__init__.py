"""The networks of the paper: FPAE, TFEN, CIN and the whole CoroNet."""

from coronet_core.models.cin import build_cin
from coronet_core.models.coronet import CoroNet, CoroNetOutput
from coronet_core.models.fpae import FPAE, Autoencoding
from coronet_core.models.tfen import TFEN, residual_tensor

__all__ = ["FPAE", "TFEN", "Autoencoding", "CoroNet", "CoroNetOutput", "build_cin", "residual_tensor"]
