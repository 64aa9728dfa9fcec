//! The command line.

use std::path::PathBuf;

pub const USAGE: &str = "usage: demo-server [--port N] [--workers N] \
[--flavor multi_thread|current_thread] [--thread-name NAME] [--seconds N] [--dir DIR] [--peer NAME]";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    MultiThread,
    CurrentThread,
}

pub struct Options {
    /// 0 = any free one.
    pub port: u16,
    /// 0 = as many as there are CPUs.
    pub workers: usize,
    pub flavor: Flavor,
    pub thread_name: Option<String>,
    /// How long the server lives; 0 = until it is killed.
    pub seconds: u64,
    /// Where the file that /read reads is made.
    pub dir: PathBuf,
    /// The name that /dns looks up.
    pub peer: String,
}

impl Options {
    pub fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options {
            port: 3000,
            workers: 0,
            flavor: Flavor::MultiThread,
            thread_name: None,
            seconds: 0,
            dir: std::env::temp_dir(),
            peer: "localhost".to_string(),
        };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--port" => options.port = number(&flag, &value)?,
                "--workers" => options.workers = number(&flag, &value)?,
                "--flavor" => options.flavor = flavor(&value)?,
                "--thread-name" => options.thread_name = Some(value),
                "--seconds" => options.seconds = number(&flag, &value)?,
                "--dir" => options.dir = PathBuf::from(value),
                "--peer" => options.peer = value,
                _ => return Err(format!("unknown option {flag}")),
            }
        }
        Ok(options)
    }
}

fn flavor(value: &str) -> Result<Flavor, String> {
    match value {
        "multi_thread" => Ok(Flavor::MultiThread),
        "current_thread" => Ok(Flavor::CurrentThread),
        _ => Err(format!("--flavor {value}: not multi_thread or current_thread")),
    }
}

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{flag} {value}: not a number in range"))
}
