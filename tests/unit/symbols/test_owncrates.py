"""Whose a crate is, by what a program's file says of itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.model import Origin
from hud.symbols.elf.file import EHDR, PHDR, ElfFile
from hud.symbols.implementors import code_crate
from hud.symbols.names import whose
from hud.symbols.owncrates import OwnCrates, find

INDEX = "/home/me/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/"
HASH = "17h0123456789abcdefE"


def program(text: str | bytes) -> ElfFile:
    """One PT_LOAD without section headers."""
    data = text.encode() if isinstance(text, str) else text
    start = EHDR.size + PHDR.size
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = EHDR.pack(ident, 3, 62, 1, 0, EHDR.size, 0, 0, EHDR.size, PHDR.size, 1, 0, 0, 0)
    segment = PHDR.pack(1, 4, start, 0x1000, 0x1000, len(data), len(data), 0x1000)
    return ElfFile(header + segment + data)


def test_the_crate_of_main_by_its_symbol() -> None:
    elf = program("no path at all")
    assert find(elf, [f"_ZN11shop_server4main{HASH}"]).main == "shop_server"
    assert find(elf, ["_RNvCs1234_11shop_server4main"]).main == "shop_server"
    assert find(elf, [f"_ZN3one4main{HASH}", f"_ZN3two4main{HASH}"]).main == ""


def test_what_cargo_installed_is_told_by_its_own_main() -> None:
    text = f"{INDEX}bcrypt-0.17.1/src/lib.rs{INDEX}dufs-0.47.0/src/main.rs{INDEX}h2-0.4.1/src/a.rs"
    own_crates = find(program(text), [])
    assert own_crates.main == "dufs"
    for path in (f"{INDEX}dufs-0.47.0/src/server.rs", ""):
        place = whose(
            "dufs::server::handle", path, "", {"dufs": "0.47.0"}, rust=True, own_crates=own_crates
        )
        assert place == (Origin.USER, "dufs", "0.47.0")
    assert whose("bcrypt::hash", "", "", {"bcrypt": ""}, rust=True, own_crates=own_crates)[0] is (
        Origin.DEPENDENCY
    )


def test_members_of_the_workspace() -> None:
    text = (
        "oopscrates/kv-store/src/lib.rssrc/pricing.rs/build/outside/src/lib.rs"
        f"{INDEX}zip-1.0.0/src/read.rs/c/git/checkouts/salsa-e6f3bb7c2a062968/ce80691/src/zalsa.rs"
        "vendor/left/src/pad.rs/rustc/abc/library/core/src/str.rs"
    )
    own_crates = find(program(text), [f"_ZN4shop4main{HASH}"])
    assert own_crates.members == {"kv_store", "outside"}
    assert own_crates.modules == {"pricing"}
    known = {"zip": "1.0.0", "salsa": ""}

    def origin(name: str) -> Origin:
        return whose(name, "", "", known, rust=True, own_crates=own_crates).origin

    for own in ("shop::f", "kv_store::put", "outside::f", "shop_core::f", "renamed::pricing::f"):
        assert origin(own) is Origin.USER, own
    for foreign in ("zip::read::f", "salsa::f", "left::f", "ppv_lite86::f", "hyper::f"):
        assert origin(foreign) is Origin.DEPENDENCY, foreign


@pytest.mark.parametrize(
    ("main", "crate", "own"),
    [
        ("hickory_dns", "hickory_proto", True),
        ("foo", "foo_core", True),
        ("foo_server", "foo", True),
        ("simple_http_server", "simple_logger", False),
        ("tokio_console", "tokio_util", False),
        ("my_app", "my_lib", False),
        ("server", "server_fn", False),
        ("dufs", "dufs_lib", True),
        ("dufs", "duf", False),
        ("", "", False),
    ],
)
def test_families(main: str, crate: str, own: bool) -> None:
    assert OwnCrates(main).owns(crate) is own


@pytest.mark.parametrize(
    ("raw", "demangled", "crate"),
    [
        # <app::price as axum::handler::Handler<..>>::call: the impl is axum's
        (
            "_RNvXs_NtCs1_4axum7handlerNvCs2_3app5priceNtB4_7Handler4call",
            "<app::price as axum::handler::Handler>::call",
            "axum",
        ),
        ("_RNCNvXs_NtCs1_4axum7handlerNvCs2_3app5priceNtB4_7Handler4call0", "", "axum"),
        ("_RINvNtCs1_4core3ptr13drop_in_placeNtCs2_3app4UserE", "", "core"),
        ("_RNvMs_NtCs2_3app5modelNtB4_4User4save", "", "app"),
        ("_RNvYNtCs2_3app4UserNtCs1_5serde9Serialize9serialize", "", ""),
        ("_ZN1a" + HASH, "app::models::_::<impl serde::Serialize for bool>::f", "app"),
        ("_ZN1a" + HASH, "<app::User as serde::Serialize>::f", ""),
        ("memcpy", "", ""),
    ],
)
def test_which_crate_a_symbols_code_is_in(raw: str, demangled: str, crate: str) -> None:
    assert code_crate(raw, demangled) == crate


def test_generic_code_is_its_crates_whatever_it_was_instantiated_for() -> None:
    name = "<app::price as axum::handler::Handler<(), ()>>::call::{async}"
    assert whose(name, "", "", {}, rust=True).origin is Origin.USER
    assert whose(name, "", "", {}, rust=True, implementor="axum").origin is Origin.DEPENDENCY


def test_c_code_of_libraries_is_no_crates() -> None:
    for path in ("/build/Python-3.11.2/Objects/call.c", "/usr/src/glibc-2.36.9/io/read.c"):
        assert whose("call", path, "/usr/lib/libpython3.so", {}, rust=False).origin is Origin.C


@given(st.binary(max_size=400))
def test_any_bytes_end(data: bytes) -> None:
    find(program(b"a/src/" + data + b"src/b.rs/src/"), [])
    code_crate("_RNvXs_C" + data.decode("latin-1"), data.decode("latin-1"))


def test_a_program_of_another_name_than_its_package_is_told_by_its_file() -> None:
    text = f"{INDEX}h2-0.4.1/src/a.rs{INDEX}mini-redis-0.4.1/src/bin/server.rs"
    assert find(program(text), []).main == "mini_redis"
    assert find(program(f"src/main.rs{text}"), []).main == ""


def test_a_help_text_that_names_a_source_file_is_no_program_of_its_own() -> None:
    text = f"see `src/headers.rs` file{INDEX}static-web-server-2.44.1/src/bin/server.rs"
    assert find(program(text), []).main == "static_web_server"
    assert find(program(f"oops/shop/src/headers.rs {text}"), []).main == ""
    assert find(program(f"src/pricing.rs{text}"), []).main == ""
