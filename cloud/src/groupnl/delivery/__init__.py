"""The cloud's end of delivery: patches between versions, and the signed repository that devices pull from.

A repository is a folder of static files; who publishes needs the keys of three roles, and the root's stay offline.
"""

from groupnl.delivery.errors import ConflictError, RepositoryError, UnfinishedError, UntrustedError
from groupnl.delivery.founding import RoleKeys, init_repository
from groupnl.delivery.keyring import add_key, make_key
from groupnl.delivery.keys_elsewhere import import_key
from groupnl.delivery.layout import ROLES, Role, Validity
from groupnl.delivery.publish import Published, publish
from groupnl.delivery.recovery import recover
from groupnl.delivery.releases import releases_of, retire, set_rollout, withdrawn_of
from groupnl.delivery.renewal import renew, renew_root
from groupnl.delivery.repository import Repository
from groupnl.delivery.rotation import rotate

__all__ = [
    "ROLES",
    "ConflictError",
    "Published",
    "Repository",
    "RepositoryError",
    "Role",
    "RoleKeys",
    "UnfinishedError",
    "UntrustedError",
    "Validity",
    "add_key",
    "import_key",
    "init_repository",
    "make_key",
    "publish",
    "recover",
    "releases_of",
    "renew",
    "renew_root",
    "retire",
    "rotate",
    "set_rollout",
    "withdrawn_of",
]
