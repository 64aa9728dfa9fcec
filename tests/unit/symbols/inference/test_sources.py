"""Which file a symbol's module path means, among those that the panic locations name."""

from __future__ import annotations

import pytest

from hud.symbols.inference.sources import ModulePath, Sources, module_path
from hud.symbols.owncrates import OwnCrates

REGISTRY = "/c/registry/src/index-0123456789abcdef/bytes-1.10.0/src/buf.rs"
ONE = Sources(["src/main.rs", "src/db.rs", "src/cmd/mod.rs", "src/cmd/get.rs", REGISTRY])
LIBRARY_TOO = Sources(["src/main.rs", "src/lib.rs", "src/bin/load-gen.rs", "src/db.rs"])
WORKSPACE = Sources(["crates/api/src/db.rs", "crates/store-core/src/db.rs", "src/main.rs"])


def legacy(*parts: str) -> str:
    return "_ZN" + "".join(f"{len(part)}{part}" for part in parts) + "17h0123456789abcdefE"


@pytest.mark.parametrize(
    ("raw", "crate", "modules"),
    [
        (legacy("app", "db", "get"), "app", ("db",)),
        (legacy("app", "db", "Db", "get"), "app", ("db",)),
        (legacy("app", "cmd", "get", "run"), "app", ("cmd", "get")),
        (legacy("app", "main"), "app", ()),
        (legacy("app", "db", "purge", "_$u7b$$u7b$closure$u7d$$u7d$"), "app", ("db",)),
        (legacy("_$LT$app..db..Db$u20$as$u20$core..ops..Drop$GT$", "drop"), "app", ("db",)),
        (legacy("_$LT$$RF$app..db..Db$LT$T$GT$$u20$as$u20$app..Get$GT$", "get"), "app", ("db",)),
        (legacy("app", "cmd", "_$LT$impl$u20$app..db..Db$GT$", "get"), "app", ("cmd",)),
        (
            legacy("app", "db", "_", "_$LT$impl$u20$serde..Ser$u20$for$u20$app..db..Db$GT$", "ser"),
            "app",
            ("db",),
        ),
        ("_RNvNtCs1234_3app2db3get", "app", ("db",)),
        ("_RNvMNtCs1234_3app2dbNtB2_2Db3get", "app", ("db",)),
        ("_RNCNvNtCs1234_3app2db5purge0B5_", "app", ("db",)),
    ],
)
def test_modules_are_what_is_before_type_and_function(
    raw: str, crate: str, modules: tuple[str, ...]
) -> None:
    assert module_path(raw) == ModulePath(crate, modules)


@pytest.mark.parametrize(
    "raw",
    [
        legacy("app", "_", "_$LT$impl$u20$serde..Serialize$u20$for$u20$app..Db$GT$", "serialize"),
        "memcpy",
        "",
        legacy("main"),
    ],
)
def test_some_symbols_do_not_say(raw: str) -> None:
    assert module_path(raw) is None


@pytest.mark.parametrize(
    ("sources", "crate", "modules", "file"),
    [
        (ONE, "app", ("db",), "src/db.rs"),
        (ONE, "app", ("cmd",), "src/cmd/mod.rs"),
        (ONE, "app", ("cmd", "get"), "src/cmd/get.rs"),
        (ONE, "app", ("buf",), ""),
        (ONE, "app", ("cmd", "set"), ""),  # never that of a module above
        (ONE, "app", (), "src/main.rs"),
        (LIBRARY_TOO, "app", ("db",), "src/db.rs"),
        (LIBRARY_TOO, "app", (), ""),
        (LIBRARY_TOO, "load_gen", (), "src/bin/load-gen.rs"),
        (WORKSPACE, "api", ("db",), "crates/api/src/db.rs"),
        (WORKSPACE, "store_core", ("db",), "crates/store-core/src/db.rs"),
        (WORKSPACE, "app", ("db",), ""),
    ],
)
def test_a_file_is_told_where_it_can_only_be_that(
    sources: Sources, crate: str, modules: tuple[str, ...], file: str
) -> None:
    assert sources.file_of(ModulePath(crate, modules)) == file


def test_a_location_fits_the_modules_own_file_alone() -> None:
    db = ModulePath("app", ("db",))
    assert ONE.fits("src/db.rs", db)
    assert not ONE.fits("src/cmd/get.rs", db)
    assert not ONE.fits("src/cmd/get.rs", ModulePath("app", ("unheard_of",)))
    assert ONE.fits("src/cmd/get.rs", None)
    assert LIBRARY_TOO.fits("src/lib.rs", ModulePath("app", ()))
    assert not LIBRARY_TOO.fits("src/db.rs", ModulePath("app", ()))
    # the first file may have any name
    assert Sources(["src/server.rs"]).fits("src/server.rs", ModulePath("app", ()))


def test_a_package_that_cargo_installed_has_its_own_files() -> None:
    index = "/c/registry/src/index-0123456789abcdef/"
    paths = [
        f"{index}{one}/src/db.rs"
        for one in ("kv-store-0.3.1", "kv-proto-0.3.1-rc.1", "sled-0.34.7")
    ]
    sources = Sources(paths, OwnCrates("kv_store"))
    assert sources.file_of(ModulePath("kv_store", ("db",))) == paths[0]
    assert (
        Sources(paths, OwnCrates("kv_proto")).file_of(ModulePath("kv_proto", ("db",))) == paths[1]
    )
    assert Sources(paths).file_of(ModulePath("kv_store", ("db",))) == ""
    assert not sources.fits(paths[2], ModulePath("sled", ("db",)))
