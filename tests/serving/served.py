"""A service with networks that have learnt nothing, and images to send to it."""

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import httpx
import numpy as np
import pydicom
import torch
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from safetensors.torch import save

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.classifier.architectures import build_cin
from coronet_core.common.literals import Aspect
from coronet_core.data.sources import phantom
from coronet_core.metrics.calibration import CalibrationErrors
from coronet_core.metrics.out_of_distribution import EnergyReference
from serving.app import build_app
from serving.server import BindAddress, server_of
from serving.service import ServedModel
from serving.settings import ServingSettings
from tasks.calibrate.calibration_file import Calibration
from tasks.package.trained_model import TrainedModel
from tasks.runtime.params.checks import read_params
from tests.conftest import PARAMS

SIDE_PX = 64


@cache
def trained_model() -> TrainedModel:
    torch.manual_seed(0)
    networks = {"healthy": FPAE(), "pneumonia": FPAE()}
    errors = CalibrationErrors(nll=1.0, brier=0.5, ece=0.07)
    energies = np.random.default_rng(0).uniform(0.2, 0.4, (40, 3))
    return TrainedModel(
        image_size_px=SIDE_PX,
        aspect=Aspect.STRETCH,
        residuals=read_params(PARAMS).residuals,
        cin_input="residual_tensor",
        batch_size=64,
        autoencoders={label: save(network.state_dict()) for label, network in networks.items()},  # type: ignore[misc]
        cin=save(build_cin().state_dict()),
        calibration=Calibration(
            images={"healthy": 20, "pneumonia": 15, "covid19": 5},
            temperature=1.3,
            before=errors,
            after=errors,
            miscoverage=0.1,
            conformal_quantile=0.9,
            sensitivity_floor=0.9,
            covid19_threshold=0.3,
            energies=EnergyReference.from_energies(energies, np.arange(40).astype(object), 95.0),
            warnings=[],
        ),
    )


@cache
def other_model() -> TrainedModel:
    """Return a model that answers otherwise than `trained_model`."""
    torch.manual_seed(7)
    return replace(trained_model(), cin=save(build_cin().state_dict()))


def served_model(**changes: Any) -> ServedModel:
    explain = read_params(PARAMS).explain
    short = replace(explain, perturbation=replace(explain.perturbation, iterations=3))
    served = ServedModel(
        model=trained_model(),
        device=torch.device("cpu"),
        source="a test",
        card="# Card",
        explain=short,
        seed=1,
    )
    return replace(served, **changes)


@contextmanager
def running(served: ServedModel | None = None, challenger: ServedModel | None = None, **settings: Any) -> Iterator[str]:
    """Run a service on this machine; gives its address."""
    app = build_app(served or served_model(), ServingSettings(**settings), challenger)
    server = server_of(app, BindAddress(host="127.0.0.1", port=0, proxy=None))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def chest(number: int = 0, width_px: int = 160, height_px: int = 160) -> Image.Image:
    pixels, *_ = phantom.draw(5, "pneumonia", f"patient-{number}", 0, max(width_px, height_px))
    return Image.fromarray(pixels).resize((width_px, height_px))


def png(number: int = 0, **size: int) -> bytes:
    return encoded(chest(number, **size))


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def dicom(number: int = 0) -> bytes:
    pixels = np.asarray(chest(number))
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    header = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    header.Rows, header.Columns = pixels.shape
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit, header.PixelRepresentation = 7, 0
    header.PatientName, header.PixelData = "Doe^Jane", pixels.tobytes()
    buffer = io.BytesIO()
    header.save_as(buffer)
    return buffer.getvalue()


def form(*contents: bytes, name: str = "chest.png") -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (name, content)) for content in contents]


def problem(response: httpx.Response, status: int) -> str:
    """Check that `response` is a problem with this status; returns its detail."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert told["status"] == status
    assert told["request_id"] == response.headers["x-request-id"]
    return str(told["detail"])
