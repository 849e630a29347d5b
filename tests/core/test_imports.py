"""The science on a machine that has torch, torchvision and numpy alone."""

import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec

import pytest

import coronet_core

PROGRAM = """
import sys

ALIEN = {
    "captum", "dvc", "highdicom", "matplotlib", "mlflow", "pandas", "prefect", "pyarrow", "pydantic", "safetensors",
    "sklearn",
}


class Nowhere:
    def find_spec(self, name, path=None, target=None):
        caller = sys._getframe(1)
        while caller and "importlib" in caller.f_code.co_filename:
            caller = caller.f_back
        if name.split(".")[0] in ALIEN and "coronet_core" in caller.f_code.co_filename:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Nowhere())
import coronet_core.attribution.baselines
import coronet_core.attribution.deletion_and_insertion
import coronet_core.attribution.salience_in_regions
import coronet_core.attribution.occlusion
import coronet_core.attribution.perturbation
import coronet_core.attribution.randomisation
import coronet_core.audits.ood_detection
import coronet_core.audits.probes
import coronet_core.audits.verdict
import coronet_core.audits.masking
import coronet_core.common.batches
import coronet_core.metrics
import coronet_core.classifier.coronet
import coronet_core.metrics.out_of_distribution
import coronet_core.autoencoder.residual_tensor
import coronet_core.common.shards
import coronet_core.autoencoder.fpae_learner
import coronet_core.classifier.cin_learner
print(*sorted(ALIEN & set(sys.modules)))
"""


def test_models_training_residuals_metrics_and_attribution_need_nothing_else() -> None:
    finished = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == []  # nor does anything that they import bring the rest along


def test_parameters_are_read_and_flows_loaded_without_torch() -> None:
    program = "import flows.retrain, sys, tasks.runtime.params.checks; print(*{'torch', 'mlflow'} & set(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.split() == []


def test_a_split_is_made_without_torch() -> None:
    program = "import sys, tasks.runtime.command, tasks.build_split.stage; print('torch' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "False"


def test_networks_other_than_the_cin_are_loaded_without_torchvision() -> None:
    program = (
        "import coronet_core.autoencoder.fpae, sys, tasks.train_autoencoder.stage; print('torchvision' in sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "False"


def test_public_names_are_where_the_docstring_says() -> None:
    names = re.findall(r"`([a-z_]+(?:\.\w+)+)`", str(coronet_core.__doc__))
    assert len(names) > 10
    for name in names:
        module, _, attribute = f"coronet_core.{name}".rpartition(".")
        assert hasattr(import_module(module), attribute) or find_spec(f"coronet_core.{name}"), name


@pytest.mark.parametrize(
    ("one", "other"), [("autoencoder.fpae", "classifier"), ("classifier.architectures", "autoencoder")]
)
def test_importing_one_network_does_not_import_the_other(one: str, other: str) -> None:
    program = f"import sys, coronet_core.{one}; print(any(m.startswith('coronet_core.{other}') for m in sys.modules))"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "False"
