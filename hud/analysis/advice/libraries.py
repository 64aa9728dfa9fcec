"""Remedies for what well-known crates do, and for computing in std."""

from __future__ import annotations

import re

from hud.analysis.advice.remedy import ANY, ASLEEP, BUSY, COMPUTING, MOVE, STD, Remedy, crates, row
from hud.analysis.cause import Cause

_PARSING = "the time grows with the size of the document; a limit on its size bounds it"
_DATABASE = "the driver waits for the disk or the server inside the poll"

LIBRARIES: tuple[Remedy, ...] = (
    # ------------------------------------------------------------- libraries that block
    row(
        "block_on",
        ANY,
        crates(
            "futures_executor::local_pool futures_lite::future pollster smol async_std::task "
            "async_io::driver tokio::runtime::(?:runtime::Runtime|handle::Handle|park)"
        )
        + r".*(?:block_on|run_executor)|^pollster::",
        "await the future instead of calling block_on",
        "future.await",
        "block_on holds the worker until the future is ready, which is never if a task of this "
        "worker has to make it ready",
    ),
    row(
        "tokio child",
        ANY,
        crates("tokio::process"),
        "start the child process from spawn_blocking",
        "tokio::task::spawn_blocking(move || command.spawn()).await",
        "tokio::process waits for the child without a worker, but starts it in the caller's poll: "
        "a fork takes longer the more memory the process has",
    ),
    row(
        "gil",
        ASLEEP,
        r"^(?:take_gil|PyGILState_Ensure|PyEval_(?:RestoreThread|AcquireThread|AcquireLock))$|"
        + crates("pyo3 pyo3_ffi")
        + r".*(?:GILGuard|AttachGuard|gil::|with_gil|attach)",
        "take the GIL in spawn_blocking, never on a worker",
        "tokio::task::spawn_blocking(|| Python::attach(|py| {{ .. }})).await",
        "one thread of the process runs Python at a time; a worker that needs the GIL sleeps until "
        "the others release it",
    ),
    row(
        "python",
        ANY,
        r"^_?Py(?:[A-Z]\w*)?_\w+$|^_PyEval|" + crates("pyo3 pyo3_ffi pyo3_async_runtimes"),
        "call Python in spawn_blocking",
        "tokio::task::spawn_blocking(|| Python::attach(|py| {{ .. }})).await",
        "Python code runs as long as it likes, and holds the GIL while it does",
    ),
    row(
        "sqlite",
        ANY,
        crates("rusqlite r2d2_sqlite libsqlite3_sys sqlite") + r"|^sqlite3_",
        "use SQLite in spawn_blocking, or tokio-rusqlite",
        MOVE,
        "SQLite is a library, not a server: each call computes and reads files right here",
    ),
    row(
        "diesel",
        ASLEEP,
        crates("diesel r2d2_diesel pq_sys") + "|^PQ(?:exec|getResult|connect)",
        "use diesel-async, or Diesel through deadpool-diesel",
        "connection.interact(move |c| query.load::<Row>(c)).await",
        _DATABASE,
    ),
    row(
        "postgres",
        ANY,
        crates("postgres"),
        "use tokio-postgres or sqlx instead of postgres",
        "tokio_postgres::connect(config, NoTls).await",
        _DATABASE,
    ),
    row(
        "mysql",
        ANY,
        crates("mysql"),
        "use mysql_async or sqlx instead of mysql",
        "mysql_async::Pool::new(url).get_conn().await",
        _DATABASE,
    ),
    row(
        "redis",
        ASLEEP,
        crates("redis::(?!aio)(?:\\w+|<)"),
        "use the asynchronous connection of redis",
        "client.get_multiplexed_async_connection().await",
        _DATABASE,
    ),
    row(
        "mongodb",
        ASLEEP,
        crates("mongodb::sync"),
        "use the asynchronous API of mongodb, not mongodb::sync",
        "mongodb::Client::with_uri_str(uri).await",
        _DATABASE,
    ),
    row(
        "r2d2",
        ASLEEP,
        crates("r2d2"),
        "use deadpool or bb8 instead of r2d2",
        "pool.get().await",
        "r2d2 puts the whole thread to sleep until a connection is free",
    ),
    row(
        "stores",
        ANY,
        crates("rocksdb librocksdb_sys sled redb heed lmdb fjall leveldb") + "|^rocksdb_",
        "call {what} in spawn_blocking",
        MOVE,
        "an embedded store reads, compacts and syncs files in the thread that calls it",
    ),
    row(
        "reqwest",
        ANY,
        crates("reqwest::blocking"),
        "use reqwest's asynchronous Client, not reqwest::blocking",
        "reqwest::Client::new().get(url).send().await",
        "reqwest::blocking sleeps while a thread of its own makes the request, asynchronously",
    ),
    row(
        "http",
        ANY,
        crates("ureq attohttpc minreq curl::easy isahc"),
        "use an asynchronous client, not {what}",
        "reqwest::Client::new().get(url).send().await",
        "a blocking client keeps the worker until the other side has answered",
    ),
    row(
        "other blocking",
        ANY,
        crates("git2 libgit2_sys gix ssh2 rusoto lettre::transport::smtp::client ldap3::sync"),
        "call {what} in spawn_blocking",
        MOVE,
        "the library does its file and network I/O in the thread that calls it",
    ),
    row(
        "rayon",
        frozenset((Cause.LOCK, Cause.SYSCALL)),
        crates("rayon rayon_core"),
        "start it with rayon::spawn and await a oneshot",
        "rayon::spawn(move || drop(sender.send(compute()))); receiver.await",
        "a worker sleeps until rayon's threads are done",
    ),
    row(
        "logs",
        ANY,
        crates(
            "tracing_subscriber tracing_log env_logger simplelog fern log4rs flexi_logger slog_\\w+"
        ),
        "log through tracing_appender::non_blocking",
        "let (writer, guard) = tracing_appender::non_blocking(std::io::stdout());",
        "each line is written by the task that logs it; a slow reader or disk holds up its worker",
    ),
    # ------------------------------------------------------------- computing
    row(
        "drop",
        BUSY | {Cause.SYSCALL},
        r"^core::(?:ptr::drop_in_place|mem::drop\b)|core::ops::drop::Drop>::drop$"
        r"|^alloc::(?:sync::Arc|rc::Rc)<.*>::drop_slow$"
        r"|^(?:free|cfree|munmap|_?rjem_sdallocx|__rust_dealloc|alloc::alloc::dealloc)$",
        "drop large structures in spawn_blocking",
        "tokio::task::spawn_blocking(move || drop(value))",
        "freeing many small allocations takes as long as making them; nobody has to wait for it",
        direct=True,
    ),
    row(
        "hash",
        BUSY,
        crates(
            "bcrypt argon2 scrypt pbkdf2 password_hash ring::pbkdf2 openssl::pkcs5 balloon_hash"
        ),
        "call {what} in spawn_blocking",
        MOVE,
        "password hashes are slow by design; a semaphore keeps them from taking all CPUs",
    ),
    row(
        "async compression",
        BUSY,
        crates("async_compression compression_core compression_codecs tower_http::compression"),
        "lower the compression level, or compress in spawn_blocking",
        "tower_http::compression::CompressionLayer::new().quality(CompressionLevel::Fastest)",
        "async compression computes inside the poll, a buffer at a time",
    ),
    row(
        "compression",
        BUSY,
        crates(
            "flate2 miniz_oxide zlib_rs libz_sys libz_rs_sys zstd zstd_safe zstd_sys ruzstd brotli "
            "brotli_decompressor lz4 lz4_flex lz4_sys snap xz2 liblzma lzma_sys lzma_rs bzip2 "
            "bzip2_sys libbz2_rs_sys libflate zopfli zip"
        )
        + r"|^(?P<c>ZSTD|HUF|LZ4|BZ2|lzma|Brotli\w*?)_|^(?:deflate|inflate)(?:_\w+)?$",
        "call {what} in spawn_blocking",
        MOVE,
        COMPUTING,
    ),
    row(
        "parsing",
        BUSY,
        crates(
            "serde_json simd_json sonic_rs serde_yaml serde_yaml_ng serde_yml yaml_rust2 toml "
            "toml_edit toml_parse csv csv_core quick_xml xml roxmltree prost protobuf rmp_serde "
            "bincode ciborium postcard ron unsafe_libyaml html5ever scraper calamine apache_avro "
            "parquet arrow serde serde_core"
        ),
        "call {what} in spawn_blocking",
        MOVE,
        _PARSING,
    ),
    row(
        "rendering",
        BUSY,
        crates("tera handlebars minijinja askama comrak markdown pulldown_cmark syntect"),
        "call {what} in spawn_blocking",
        MOVE,
        COMPUTING,
    ),
    row(
        "image",
        BUSY,
        crates(
            "image png jpeg_decoder jpeg_encoder zune_jpeg zune_core gif webp libwebp_sys tiff exr "
            "ravif rav1e resvg tiny_skia imageproc fast_image_resize fdeflate"
        ),
        "call {what} in spawn_blocking",
        MOVE,
        COMPUTING,
    ),
    row(
        "regex compile",
        BUSY,
        crates("regex regex_lite")
        + r"(?:\w+::)*(?:Regex(?:Set)?(?:Builder)?::(?:new|build)|builders::)"
        r"|^<?regex_syntax::|^<?regex_automata::(?:\w+::)*(?:Builder|Compiler|compiler)\b",
        "compile the regex once, in a static LazyLock",
        'static RE: LazyLock<Regex> = LazyLock::new(|| Regex::new("..").unwrap());',
        "compiling takes far longer than most matches",
    ),
    row(
        "regex",
        BUSY,
        crates("regex regex_automata regex_lite fancy_regex aho_corasick"),
        "search large texts in spawn_blocking",
        MOVE,
        "a match takes time proportional to the text",
    ),
    row(
        "tls",
        BUSY,
        crates("rustls tokio_rustls native_tls tokio_native_tls openssl::ssl tokio_openssl"),
        "use an ECDSA certificate, and let sessions resume",
        "",
        "a TLS handshake computes inside the poll; signing with RSA is most of it",
    ),
    row(
        "crypto",
        BUSY,
        crates(
            "ring rsa openssl openssl_sys aws_lc_rs aws_lc_sys p256 p384 p521 k256 ecdsa "
            "elliptic_curve primeorder ed25519_dalek curve25519_dalek x25519_dalek dsa sha1 sha2 "
            "sha3 md5 blake2 blake3 aes aes_gcm chacha20 chacha20poly1305 num_bigint_dig "
            "crypto_bigint jsonwebtoken sodiumoxide"
        )
        + "|^ring_core_",
        "call {what} in spawn_blocking",
        MOVE,
        COMPUTING,
    ),
    row(
        "spinning",
        BUSY,
        STD + r"thread::(?:functions::)?yield_now|^sched_yield$|" + crates("spin"),
        "await a tokio::sync::Notify instead of spinning",
        "notify.notified().await",
        "what it waits for may need this very worker",
    ),
    row(
        "sort",
        BUSY,
        r"core::slice::sort::|^alloc::slice::stable_sort|^<\[T\]>::sort",
        "sort in spawn_blocking, with rayon's par_sort",
        MOVE,
        COMPUTING,
        direct=True,
    ),
    row(
        "clone",
        BUSY,
        r"(?:core::clone::Clone>|BTreeMap<.*>|[cC]lone)::clone(?:_subtree)?$|\bto_owned$",
        "share it in an Arc instead of cloning it",
        "let shared = Arc::clone(&value);",
        "a deep copy allocates as much as the original; an Arc only counts",
        direct=True,
    ),
    row(
        "copy",
        BUSY,
        r"^bytes::bytes::Bytes::copy_from_slice$",
        "take the bytes with split_to and freeze instead of copying",
        "let value = buffer.split_to(length).freeze();",
        "a copy takes time proportional to its size; parts of a BytesMut share its memory",
        direct=True,
    ),
    row(
        "allocation",
        BUSY | {Cause.SYSCALL},
        r"^(?:malloc|calloc|realloc|mmap|mremap|madvise|posix_memalign|__rust_(?:alloc|realloc)\w*)$"
        r"|^alloc::(?:raw_vec|alloc::(?:alloc|realloc|Global))|^hashbrown::raw::.*(?:rehash|resize)",
        "reuse the buffer, or reserve its size once",
        "Vec::with_capacity(expected)",
        "new memory is zeroed page by page, and a buffer that grows is copied",
        direct=True,
    ),
)

ASYNC_LIBRARIES = re.compile(
    crates(
        "hyper hyper_util h2 h3 quinn quinn_proto tower tower_http tower_service tower_layer axum "
        r"axum_core actix_\w+ warp tonic tonic_\w+ reqwest sqlx sqlx_\w+ sea_orm tokio_\w+ "
        r"futures futures_\w+ async_\w+ tungstenite aws_smithy_\w+ tracing tracing_core bytes "
        "diesel_async deadpool bb8 redis mongodb http_body http_body_util poem rocket"
    )
)
"""Libraries that compute inside polls by design: their calls cannot be moved."""

PUBLIC: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^bcrypt::(hash|verify)$", r"bcrypt::\1"),
        (r"^scrypt::(?:scrypt::)?scrypt$", "scrypt::scrypt"),
        (r"^pbkdf2::(pbkdf2_hmac|pbkdf2)(?:_array)?$", r"pbkdf2::\1"),
        (r"^serde_json::(?:de|ser)::(from_\w+|to_\w+)(?<!from_trait)$", r"serde_json::\1"),
        (r"^serde_yaml::(?:de|ser)::(from_\w+|to_\w+)$", r"serde_yaml::\1"),
        (r"^toml::(?:de|ser)::(from_str|to_string)$", r"toml::\1"),
        (r"^zstd::(?:stream::functions::)?(encode_all|decode_all)$", r"zstd::\1"),
        (r"^lz4_flex::block::\w+::(compress|decompress)(_\w+)?$", r"lz4_flex::\1\2"),
    )
)
"""Functions as symbol tables know them, and as people call them."""
