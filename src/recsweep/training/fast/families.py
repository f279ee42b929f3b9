"""The table of families: which RecBole models have a fast path, and why the others have none.

The trainer, the tests and the table in docs/explanation/fast-paths.md follow it. A new family is added here.
"""

from __future__ import annotations

from recsweep.training.fast.admm import AdmmSlim
from recsweep.training.fast.base import Family
from recsweep.training.fast.bert import Bert4Rec
from recsweep.training.fast.cdae import Cdae
from recsweep.training.fast.closed import Ease, ItemKnn, SlimElastic
from recsweep.training.fast.context import DeepFm, Fm, Lr, WideDeep
from recsweep.training.fast.crossings import AutoInt, DcnV2
from recsweep.training.fast.enmf import Enmf
from recsweep.training.fast.factorized import Bpr, Fpmc
from recsweep.training.fast.gcmc import Gcmc
from recsweep.training.fast.graphs import LightGcn, Sgl
from recsweep.training.fast.macrid import Macrid
from recsweep.training.fast.multinomial import MultiDae, MultiVae
from recsweep.training.fast.nceplrec import NcePlRec
from recsweep.training.fast.ncl import Ncl
from recsweep.training.fast.neighbours import Nncf
from recsweep.training.fast.ngcf import Ngcf
from recsweep.training.fast.own_loss import OwnLoss
from recsweep.training.fast.pairs import NeuMf
from recsweep.training.fast.pooling import Fossil, Stamp
from recsweep.training.fast.profiles import Dmf, Fism
from recsweep.training.fast.recurrent import Gru4Rec, Narm
from recsweep.training.fast.recvae import RecVae
from recsweep.training.fast.simplex import SimpleX
from recsweep.training.fast.transformer import SasRec
from recsweep.training.fast.two_towers import Dssm

FAST_FAMILIES: tuple[type[Family], ...] = (
    *(Fpmc, Bpr),
    *(NeuMf, Nncf),
    *(Dmf, Fism),
    SimpleX,
    *(Lr, Fm, WideDeep, DeepFm),
    *(AutoInt, DcnV2),
    Dssm,
    *(LightGcn, Sgl, Ncl),
    *(Ngcf, Gcmc),
    *(Stamp, Fossil),
    *(Gru4Rec, Narm),
    SasRec,
    Bert4Rec,
    *(MultiDae, MultiVae),
    Cdae,
    Enmf,
    RecVae,
    Macrid,
    OwnLoss,
    *(Ease, ItemKnn, SlimElastic),
    *(AdmmSlim, NcePlRec),
)


def served() -> dict[str, type[Family]]:
    """The family of each model that one trains, by the model's name."""
    return {name: family for family in FAST_FAMILIES if family.trains for name in family.models}


def scored() -> dict[str, type[Family]]:
    """The family of each model that RecBole trains and the family scores, by the model's name."""
    return {name: family for family in FAST_FAMILIES if not family.trains for name in family.models}


def refused() -> dict[str, str]:
    """Models that were looked at and are trained by RecBole's code, and why."""
    found = {name: why for family in FAST_FAMILIES for name, why in family.refused.items()}
    return {**found, **{name: family.untrained for name, family in scored().items()}}
