"""Where things are and where generated files go."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"


def configuration_folder(datapath: str, configuration: str) -> Path:
    """Generated files of one configuration: ``build/<datapath>/<configuration>``."""
    return BUILD / datapath / configuration
