"""Makes the frames that people read: a readable name, and whose code it is.

Names. Hashes, disambiguators and the generics of functions go (the raw symbol keeps them), so that
all instances of one function have one name. ``<T as Trait>::method`` stays; an inherent impl is
``T::method``. Closures are ``{closure}``. The symbol of an async fn's body is that of a closure.
DWARF distinguishes them by the function's own name (``{async_fn#0}``, ``{async_block#0}``): then it
is ``handler::{async fn}``. Without it the machine code may (`hud.symbols.inference.coroutines`),
though not an async fn from an async block: then it is ``handler::{async}``, unless it stands below
a closure, or is not the first body in its function (v0 names count them).

Origins. The crate in the name decides (the one its path begins with; of ``<T as Trait>`` the one
that can hold the impl), for a line may come from a macro of another crate; the path says its
version and whether a crate is the user's, and decides alone where the name has no crate. Without
debug info a crate is a dependency if a panic location in the binary names it (see
`hud.symbols.inference.panics`), or if it is widely used. Of the others those are the user's that
belong to the program itself (see `hud.symbols.owncrates`): all of them where that is not known. The
crate of ``main`` and its relatives are the user's even where they came from a registry. Generic
code is its crate's, whatever it was instantiated for.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hud.model import Frame, Origin
from hud.symbols.cnames import known_as
from hud.symbols.demangle import demangle
from hud.symbols.implementors import code_crate
from hud.symbols.owncrates import NOT_KNOWN
from hud.symbols.shorten import LONGEST, fitting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hud.symbols.dwarf.reader import RawFrame
    from hud.symbols.owncrates import OwnCrates

RUNTIME_CRATES = frozenset(("tokio", "tokio_util", "mio"))
"""The runtime itself; what is built on it (hyper, tower, axum) is a dependency."""
_STD = """
std core alloc proc_macro test compiler_builtins panic_unwind panic_abort unwind std_detect __rustc
"""
STD_CRATES = frozenset(_STD.split())
STD_PARTS = frozenset(("hashbrown", "gimli", "addr2line", "object", "rustc_demangle"))
"""Crates inside std; they are dependencies where a panic location names them."""
_WIDELY_USED = """
actix_http actix_rt actix_server actix_web adler adler2 aes ahash anstream anyhow argon2 arrayvec
async_channel async_trait aws_lc_rs aws_sdk_s3 aws_smithy_runtime axum axum_core base64 bcrypt
bitflags blake2 blake3 blowfish brotli bstr bytes chacha20 chrono cipher clap clap_builder cookie
crc32fast crossbeam crossbeam_channel crossbeam_deque crossbeam_epoch crossbeam_queue
crossbeam_utils csv dashmap deadpool diesel digest dotenvy either encoding_rs env_logger fastrand
flate2 flume form_urlencoded futures futures_channel futures_core futures_executor futures_io
futures_sink futures_task futures_util generic_array getrandom glob h2 hex hkdf hmac http http_body
http_body_util httparse httpdate hyper hyper_rustls hyper_tls hyper_util idna indexmap itertools
itoa jsonwebtoken kanal lazy_static libc libloading lock_api log lru lz4_flex md5 memchr memmap2
metrics_exporter_prometheus mime miniz_oxide moka multer native_tls nix nom num_bigint num_cpus
num_traits once_cell openssl opentelemetry parking_lot parking_lot_core pbkdf2 percent_encoding pest
pin_project_lite pin_utils postgres_protocol postgres_types ppv_lite86 prometheus prost pyo3
pyo3_async_runtimes pyo3_ffi quinn quinn_proto r2d2 rand rand_chacha rand_core rayon rayon_core
rdkafka redis regex regex_automata regex_syntax reqwest ring rocksdb rsa rusqlite rustix rustls
rustls_pki_types ryu scopeguard sea_orm secrecy semver serde serde_core serde_derive serde_json
serde_path_to_error serde_qs serde_urlencoded serde_yaml sha1 sha2 sharded_slab signal_hook_registry
simd_adler32 simd_json slab smallvec socket2 spin sqlx sqlx_core sqlx_postgres ssri strsim subtle
sync_wrapper tar tempfile termcolor thiserror thread_local tinyvec tokio_native_tls tokio_openssl
tokio_postgres tokio_rustls tokio_stream tokio_tungstenite toml toml_edit tonic tower tower_http
tower_layer tower_service tracing tracing_core tracing_log tracing_subscriber tungstenite typenum
unicode_normalization url uuid walkdir warp webpki winnow xz2 zerocopy zeroize zip zlib_rs zmij zstd
zstd_safe zstd_sys
"""
WIDELY_USED = frozenset(_WIDELY_USED.split())
"""Names that nobody would give a crate of their own; ``config`` or ``metrics`` are not here."""
_C_SOURCE = (".c", ".h", ".s", ".S", ".cc", ".cpp", ".cxx", ".hpp", ".asm", ".inc")
_C_MODULE = re.compile(
    r"(?:^|/)(?:lib(?:c|m|dl|rt|pthread|gcc_s|stdc\+\+|resolv|util|nss_\w+)|ld-linux[\w-]*|ld-musl"
    r"[\w-]*|ld)[-.\d]*(?:\.so[.\d]*|-[\d.]+\.so)$|^\[v(?:dso|syscall)\]$"
)


class Owner(NamedTuple):
    """Whose code it is; ``crate`` is as in Rust paths, ``version`` may be empty."""

    origin: Origin
    crate: str = ""
    version: str = ""


_PACKAGE = r"(?P<name>[A-Za-z][\w-]*?)-(?P<version>\d+\.\d+\.\d+[\w.+-]*)"
_OWNERS: tuple[tuple[Origin, re.Pattern[str]], ...] = (
    (Origin.DEPENDENCY, re.compile(rf"/registry/src/[^/]+/{_PACKAGE}/")),
    (
        Origin.DEPENDENCY,
        re.compile(
            r"/git/checkouts/(?P<repository>[^/]+)-[0-9a-f]{16}/[0-9a-f]+/"
            r"(?:(?:[^/]+/){0,6}?(?P<name>[^/]+)/)?src/"
        ),
    ),
    (Origin.STD, re.compile(r"(?:^|/)library/(?P<name>[\w-]+)/(?:\w+/)*?src/")),
    (Origin.STD, re.compile(rf"^/rust/deps/{_PACKAGE}/")),
    (Origin.STD, re.compile(r"^/rustc/[0-9a-f]+/")),
    (Origin.DEPENDENCY, re.compile(rf"(?:^|/){_PACKAGE}/(?:src/|[\w/]+\.\w+$)")),
    (Origin.DEPENDENCY, re.compile(r"(?:^|/)vendor/(?P<name>[A-Za-z][\w-]*)/")),
)


@lru_cache(maxsize=4096)
def owner_of(path: str) -> Owner | None:
    """Whose file this is; None without a path."""
    if not path:
        return None
    for origin, pattern in _OWNERS:
        match = pattern.search(path)
        if match is None:
            continue
        found = match.groupdict()
        name = found.get("name") or found.get("repository") or "std"
        crate = name.replace("-", "_")
        if origin is Origin.DEPENDENCY and crate in RUNTIME_CRATES:
            origin = Origin.RUNTIME
        return Owner(origin, crate, found.get("version") or "")
    return Owner(Origin.C if path.endswith(_C_SOURCE) else Origin.USER)


# --------------------------------------------------------------------------- names

_CLOSURE = re.compile(r"\{\{closure\}\}|\{closure(?:_env)?(?::\w+)?(?:#\d+)?\}")
_OTHER = re.compile(r"\{\{([\w.-]+)\}\}|\{(shim:\w+|constant|constructor)(?:#\d+)?\}")
_ASYNC = re.compile(
    r"\{(async_fn|async_block|async_closure|async|gen_block|gen_fn)(?:_env)?(?:#\d+)?\}"
)
_LATER = re.compile(r"\{closure#[1-9]\d*\}$")
ASYNC = "{async}"
"""The own name of an async fn's or block's body where nothing shows which of the two it is."""
BLOCK = "{async block}"
_FIRST = re.compile(r"<*([A-Za-z_]\w*)::", re.ASCII)
_TYPE_PREFIX = re.compile(r"^(?:&(?:'\w+ )?|\*|\[|\(|mut |const |dyn |for<[^>]*> )*")


def readable(name: str, own_name: str = "") -> str:
    """A demangled name as people read it. ``own_name``: the function's own name in DWARF, with the
    bodies around it, or ASYNC."""
    later = is_later(name)
    name = _CLOSURE.sub("{closure}", name)
    name = _OTHER.sub(lambda match: "{" + (match[1] or match[2]) + "}", name)
    name = _ASYNC.sub(lambda match: "{" + match[1].replace("_", " ") + "}", name)
    if name.endswith("{closure}"):
        is_async = own_name == ASYNC
        name = asynchronous(name, later) if is_async else _told(name, own_name.split("::"))
    return _impl(name)


def _told(name: str, own: Sequence[str]) -> str:
    """A name with what its last closures are by debug info."""
    parts = name.split("::")
    for at in range(-1, -1 - min(len(own), len(parts)), -1):
        if parts[at] != "{closure}":
            break
        told = _ASYNC.fullmatch(own[at])
        if told:
            parts[at] = "{" + told[1].replace("_", " ") + "}"
    return "::".join(parts)


def asynchronous(name: str, later: bool = False) -> str:
    """A name that ends in ``{closure}``, of which the code says that it is an async body.

    The body of an async fn stands right below a named function, alone: what is async below a
    closure or another body, or is a ``later`` one of its function, is a block, or an async
    closure's.
    """
    head = name[: -len("{closure}")]
    return head + (BLOCK if later or head.endswith("}::") else ASYNC)


def is_later(name: str) -> bool:
    """Does a demangled name end in a closure, or body, that is not the first in its function?"""
    return _LATER.search(name) is not None


def _impl(name: str) -> str:
    """``a::<impl T>::f`` and ``<T>::f`` -> ``T::f``; ``<impl Trait for T>`` -> ``<T as Trait>``."""
    start = name.find("<impl ")
    if start > 0 and (name[start - 2 : start] != "::" or "<" in name[:start]):
        return name
    if start < 0 and not name.startswith("<"):
        return name
    start = max(start, 0)
    end = _closing(name, start)
    if end < 0 or not name.startswith("::", end + 1):
        return name
    inner = name[start + 1 : end]
    if inner.startswith("impl "):
        inner = inner[5:]
        at = _at_top(inner, " for ")
        if at > 0:
            return f"<{inner[at + 5 :]} as {inner[:at]}>{name[end + 1 :]}"
    elif start > 0 or _at_top(inner, " as ") >= 0:
        return name
    if _first_crate(inner):
        return inner + name[end + 1 :]
    return f"<{inner}>{name[end + 1 :]}"


def _closing(text: str, start: int) -> int:
    """Where the ``<`` at ``start`` ends; -1 = nowhere."""
    depth = 0
    for at in range(start, len(text)):
        if text[at] == "<":
            depth += 1
        elif text[at] == ">" and text[at - 1] != "-":
            depth -= 1
            if depth == 0:
                return at
    return -1


def _at_top(text: str, words: str) -> int:
    """Where ``words`` stand outside of all ``<>``; -1 = nowhere."""
    depth = 0
    for at, letter in enumerate(text):
        if letter == "<":
            depth += 1
        elif letter == ">" and text[at - 1] != "-":
            depth -= 1
        elif depth == 0 and letter == " " and text.startswith(words, at):
            return at
    return -1


def _without_generics(name: str) -> str:
    """DWARF's ``into_future<T>`` -> ``into_future``."""
    if name.endswith(">") and not name.startswith("<"):
        start = name.find("<")
        if start > 0 and _closing(name, start) == len(name) - 1:
            return name[:start]
    return name


def crates_of(name: str) -> tuple[str, ...]:
    """The crates whose code a readable name can be: one, or type's and trait's; empty = none.

    An inherent impl of a primitive, pointer, slice or tuple can only be std's.
    """
    if not name.startswith("<"):
        found = _first_crate(name)
        return (found,) if found else ()
    inner = name[1 : _closing(name, 0)]
    at = _at_top(inner, " as ")
    if at < 0:
        return (_first_crate(inner) or "core",)
    places = (_first_crate(_TYPE_PREFIX.sub("", inner[:at])), _first_crate(inner[at + 4 :]))
    return tuple(filter(None, places)) or ("core",)


def _first_crate(path: str) -> str:
    match = _FIRST.match(path)
    return match[1] if match else ""


# --------------------------------------------------------------------------- origins


def _owner_by_name(
    crate: str, crates: Mapping[str, str], own_crates: OwnCrates, name: str, *, in_users_file: bool
) -> Owner:
    """What is known of a crate by its name; ``name`` is that of one of its functions, and
    ``in_users_file`` says that its code is: a test is no relative of the library that it tests.
    """
    if crate in STD_CRATES or (crate in STD_PARTS and crate not in crates):
        return Owner(Origin.STD, crate)
    if crate in RUNTIME_CRATES:
        origin = Origin.RUNTIME
    elif crate in crates or crate in WIDELY_USED:
        origin = Origin.USER if own_crates.owns(crate) else Origin.DEPENDENCY
    else:
        own = in_users_file or own_crates.holds(crate, _module_in(name, crate))
        origin = Origin.USER if own else Origin.DEPENDENCY
    return Owner(origin, crate, crates.get(crate, ""))


def _module_in(name: str, crate: str) -> str:
    """What follows the crate in a path: its module there, or the function itself."""
    found = re.search(rf"\b{crate}::(\w+)", name)
    return found[1] if found else ""


def adopted(owner: Owner, own_crates: OwnCrates) -> Owner:
    """The user's if it is one of the program's own, wherever it was compiled."""
    if owner.origin is Origin.DEPENDENCY and own_crates.owns(owner.crate):
        return owner._replace(origin=Origin.USER)
    return owner


def owner_in(path: str, own_crates: OwnCrates) -> Owner | None:
    """Whose file this is in a program with these own crates; None without a path."""
    owner = owner_of(path)
    return None if owner is None else adopted(owner, own_crates)


def is_users(path: str, own_crates: OwnCrates = NOT_KNOWN) -> bool:
    """Is it a file of the user's?"""
    owner = owner_in(path, own_crates)
    return owner is not None and owner.origin is Origin.USER


_PREFERENCE = (Origin.USER, Origin.DEPENDENCY, Origin.RUNTIME, Origin.STD)
_CARGO_PATH = re.compile(r"/registry/src/|/git/checkouts/|(?:^|/)vendor/")
"""C code of a crate; ``Python-3.11.2/Objects/call.c`` is none."""


def _same_crate(one: str, two: str) -> bool:
    """A package and its library may differ a little: md-5 and md5, rust-argon2 and argon2."""
    one, two = one.replace("_", ""), two.replace("_", "")
    return one == two or (min(len(one), len(two)) >= 4 and (one in two or two in one))


def whose(
    name: str,
    path: str,
    module: str,
    crates: Mapping[str, str],
    *,
    rust: bool,
    own_crates: OwnCrates = NOT_KNOWN,
    implementor: str = "",
) -> Owner:
    """The owner of a frame with a readable name.

    ``rust``: the name was a Rust symbol's; ``implementor``: the crate that its code is in for sure.
    """
    owner = owner_in(path, own_crates)
    if not rust:
        return _whose_c(name, owner, path, module, crates)
    known = (implementor,) if implementor else crates_of(name)
    if not known:
        return owner or Owner(Origin.UNKNOWN)
    in_users_file = owner is not None and owner.origin is Origin.USER
    by_name = [
        _owner_by_name(crate, crates, own_crates, name, in_users_file=in_users_file)
        for crate in known
    ]
    if owner is not None and owner.crate:
        for one in by_name:
            if _same_crate(one.crate, owner.crate):
                return owner
    best = min(by_name, key=lambda one: _PREFERENCE.index(one.origin))
    trait = not implementor and (len(known) > 1 or name.startswith("<"))
    if trait and owner is not None and owner.origin is not Origin.STD:
        return best if owner.origin is Origin.USER and best.origin is Origin.USER else owner
    return best


def _whose_c(
    name: str, owner: Owner | None, path: str, module: str, crates: Mapping[str, str]
) -> Owner:
    if name.startswith(("__rust_", "rust_", "__rdl_", "__rg_")):
        return Owner(Origin.STD, "std")
    if owner is not None and owner.crate and (owner.crate in crates or _CARGO_PATH.search(path)):
        return owner
    named = name or _C_MODULE.search(module)
    return Owner(Origin.C) if named else Owner(Origin.UNKNOWN)


# --------------------------------------------------------------------------- frames


def describe(
    module: str,
    vaddr: int,
    raw_frames: Iterable[RawFrame],
    crates: Mapping[str, str],
    own_crates: OwnCrates = NOT_KNOWN,
) -> tuple[Frame, ...]:
    """The frames of one address, innermost first; ``address`` is left to the caller.

    ``crates``: the module's crates and versions, see `hud.symbols.inference.panics.crates`. A raw
    frame that has a linkage name and a ``name`` gives the function's own name in the latter.
    """
    frames = (_frame(module, vaddr, raw, crates, own_crates) for raw in raw_frames)
    return tuple(
        one if len(one.function) <= LONGEST else replace(one, function=fitting(one.function))
        for one in frames
    )


def _frame(
    module: str, vaddr: int, raw: RawFrame, crates: Mapping[str, str], own_crates: OwnCrates
) -> Frame:
    demangled = demangle(raw.name_raw, generics=False) if raw.name_raw else None
    if demangled is not None:
        function, rust = readable(demangled, raw.name), True
    elif raw.name_raw:
        library = bool(_C_MODULE.search(module))
        function, rust = known_as(_plain(raw.name_raw), library=library), False
    else:
        function = readable(_without_generics(raw.name))
        rust = "::" in function and raw.file.endswith(".rs")
        if "::" not in function:  # glibc's assembler sources and inlined calls have no symbol
            function = known_as(function, library=bool(_C_MODULE.search(module)))
    own = code_crate(raw.name_raw, demangled) if demangled is not None else ""
    owner = whose(
        function, raw.file, module, crates, rust=rust, own_crates=own_crates, implementor=own
    )
    crate = f"{owner.crate} {owner.version}" if owner.version else owner.crate
    elsewhere = owner.origin is Origin.USER and _is_foreign(raw.file, own_crates)
    return Frame(
        address=0,
        function=function,
        raw=raw.name_raw or raw.name,
        file="" if elsewhere else raw.file,
        line=0 if elsewhere else raw.line,
        module=module,
        offset=vaddr,
        origin=owner.origin,
        crate=crate,
        inlined=raw.inlined,
    )


def _is_foreign(path: str, own_crates: OwnCrates) -> bool:
    """Is it another package's file? A line of the user's code in it is one of a macro's there."""
    return bool(path) and not is_users(path, own_crates)


def readable_symbol(raw: str, own_name: str = "") -> str:
    """A symbol as people read it; ``own_name`` as for ``readable``."""
    demangled = demangle(raw, generics=False)
    return _plain(raw) if demangled is None else readable(demangled, own_name)


def is_closure(raw: str) -> bool:
    """Is it the symbol of a closure, or of the body of an async fn or block?"""
    if "closure" not in raw and "NC" not in raw:
        return False
    name = demangle(raw, generics=False)
    return name is not None and _CLOSURE.sub("", name).endswith("::")


def _plain(name: str) -> str:
    """A C symbol without its version: ``memcpy@@GLIBC_2.14``."""
    return name.partition("@")[0] or name
