"""The kinds of input that are damaged."""

from tests.fuzz.ground import Ground
from tests.fuzz.grounds.checkpoints import Checkpoints
from tests.fuzz.grounds.configs import Configs
from tests.fuzz.grounds.lists import Labels, Splits
from tests.fuzz.grounds.masks import Masks
from tests.fuzz.grounds.photos import Photos
from tests.fuzz.grounds.runs import Reports, Stores
from tests.fuzz.grounds.studies import Studies

_ALL: tuple[Ground, ...] = (
    Photos("photos", cases=1200),
    Masks("masks", cases=600),
    Labels("labels", cases=600),
    Splits("splits", cases=400),
    Configs("configs", cases=400),
    Checkpoints("checkpoints", cases=300),
    Reports("reports", cases=300),
    Stores("stores", cases=200),
    Studies("studies", cases=200),
)
GROUNDS = {ground.name: ground for ground in _ALL}
