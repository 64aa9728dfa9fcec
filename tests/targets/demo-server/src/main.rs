//! HTTP on loopback, with the usual ways to block a Tokio worker, each beside its remedy.
//!
//! | path      | what blocks the worker                      | `/good/...` does instead          |
//! |-----------|---------------------------------------------|-----------------------------------|
//! | /hash     | bcrypt, cost 10                             | `spawn_blocking`                  |
//! | /parse    | a large JSON document                       | `spawn_blocking`                  |
//! | /compress | gzip of a large text                        | `spawn_blocking`                  |
//! | /read     | `std::fs::read` of a file out of the cache  | `tokio::fs`, piece by piece       |
//! | /dns      | `ToSocketAddrs`, once per peer              | `tokio::net::lookup_host`         |
//! | /lock     | a `std::sync::Mutex` that others hold long  | `tokio::sync::Mutex`              |
//! | /sleep    | `std::thread::sleep`                        | `tokio::time::sleep`              |
//!
//! `/` answers at once.
//!
//! What a profiler may expect: this is ordinary code, no function is kept from being inlined. In
//! a release build (rustc 1.95) the async fns and the smallest functions (`resolve_peer`,
//! `take_a_nap`) merge into the future of `connection`, so that without debug info only
//! `connection::{{closure}}` is named there; `hash_password`, `parse_report`, `compress_payload`,
//! `read_config` and `update_cache` stay functions. A dev build keeps them all.

mod good;
mod handlers;
mod http;
mod options;
mod state;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use http::{Reply, Request};
use options::{Flavor, Options};
use state::State;

fn main() -> ExitCode {
    let options = match Options::from_args(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("demo-server: {message}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> std::io::Result<()> {
    let state: &'static State = Box::leak(Box::new(State::new(options)?));
    let runtime = runtime(options)?;
    let served = runtime.block_on(async {
        if options.seconds == 0 {
            return serve(state, options.port).await;
        }
        let life = Duration::from_secs(options.seconds);
        tokio::time::timeout(life, serve(state, options.port)).await.unwrap_or(Ok(()))
    });
    runtime.shutdown_background();
    state.remove_files();
    served
}

fn runtime(options: &Options) -> std::io::Result<Runtime> {
    let mut builder = match options.flavor {
        Flavor::MultiThread => Builder::new_multi_thread(),
        Flavor::CurrentThread => Builder::new_current_thread(),
    };
    if options.workers > 0 {
        builder.worker_threads(options.workers);
    }
    if let Some(name) = &options.thread_name {
        builder.thread_name(name);
    }
    builder.enable_all().build()
}

async fn serve(state: &'static State, port: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    std::io::stdout().flush()?;
    state.start_refreshing();
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(state, stream));
    }
}

async fn connection(state: &'static State, stream: TcpStream) {
    // Small replies to small requests: waiting to fill a packet would only add latency.
    let _ = stream.set_nodelay(true);
    let mut stream = BufReader::new(stream);
    loop {
        let (reply, keep_alive) = match http::read_request(&mut stream).await {
            Ok(Some(request)) => (route(state, &request).await, request.keep_alive),
            Ok(None) => return,
            Err(error) => (Reply::new(400, format!("{error}\n")), false),
        };
        if http::write_reply(stream.get_mut(), &reply, keep_alive).await.is_err() || !keep_alive {
            return;
        }
    }
}

async fn route(state: &'static State, request: &Request) -> Reply {
    if request.method != "GET" && request.method != "POST" {
        return Reply::new(405, "GET or POST only\n".to_string());
    }
    let body = match request.path.as_str() {
        "/" => "ok\n".to_string(),
        "/hash" => handlers::hash(&request.body).await,
        "/parse" => handlers::parse(state).await,
        "/compress" => handlers::compress(state).await,
        "/read" => handlers::read(state).await,
        "/dns" => handlers::dns(state).await,
        "/lock" => handlers::lock(state).await,
        "/sleep" => handlers::sleep().await,
        "/good/hash" => good::hash(&request.body).await,
        "/good/parse" => good::parse(state).await,
        "/good/compress" => good::compress(state).await,
        "/good/read" => good::read(state).await,
        "/good/dns" => good::dns(state).await,
        "/good/lock" => good::lock(state).await,
        "/good/sleep" => good::sleep().await,
        _ => return Reply::new(404, "not found\n".to_string()),
    };
    Reply::new(200, body)
}
