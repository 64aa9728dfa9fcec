//! What the tests of this package call: each way to block takes some 30 ms.

use std::sync::{mpsc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

pub const LONG: Duration = Duration::from_millis(30);

pub fn load_config() -> usize {
    thread::sleep(LONG);
    std::env::args().count()
}

pub fn wait_for_lock() {
    static SHARED: Mutex<u32> = Mutex::new(0);
    let (taken, is_taken) = mpsc::channel();
    let holder = thread::spawn(move || {
        let _guard = SHARED.lock().unwrap();
        taken.send(()).unwrap();
        thread::sleep(LONG);
    });
    is_taken.recv().unwrap();
    *SHARED.lock().unwrap() += 1;
    holder.join().unwrap();
}

pub fn receive() {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        thread::sleep(LONG);
        sender.send(()).unwrap();
    });
    receiver.recv().unwrap();
}

pub fn wait_for_condition() {
    let (lock, condition) = (Mutex::new(()), Condvar::new());
    let _ = condition.wait_timeout(lock.lock().unwrap(), LONG).unwrap();
}

pub fn run_program() {
    std::process::Command::new("sleep").arg("0.03").status().unwrap();
}

pub fn read_pipe() -> String {
    use std::io::{Read, Write};
    let (mut reader, mut writer) = std::os::unix::net::UnixStream::pair().unwrap();
    thread::spawn(move || {
        thread::sleep(LONG);
        writer.write_all(b"late").unwrap();
    });
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text
}

pub fn receive_datagram() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket.recv(&mut [0]).unwrap_err();
}

pub fn join_thread() {
    thread::spawn(|| thread::sleep(LONG)).join().unwrap();
}

/// Some 20 us each, unoptimised.
pub fn compute(rounds: u32) -> u64 {
    let mut sum = 1u64;
    for number in 0..u64::from(rounds) * 1_000 {
        sum = sum.wrapping_mul(6364136223846793005).wrapping_add(number);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn blocks_in_sleep() {
        load_config();
    }

    #[tokio::test]
    async fn blocks_in_lock() {
        wait_for_lock();
    }

    #[tokio::test]
    async fn blocks_in_channel() {
        receive();
    }

    #[tokio::test]
    async fn blocks_in_condition() {
        wait_for_condition();
    }

    #[tokio::test]
    async fn blocks_in_program() {
        run_program();
    }

    #[tokio::test]
    async fn blocks_in_socket() {
        read_pipe();
    }

    #[tokio::test]
    async fn blocks_in_join() {
        join_thread();
    }

    #[tokio::test]
    async fn blocks_in_spawned_task() {
        tokio::spawn(async { receive_datagram() }).await.unwrap();
    }

    #[tokio::test]
    async fn blocks_in_local_task() {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async { tokio::task::spawn_local(async { load_config() }).await })
            .await
            .unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn blocks_on_a_worker() {
        tokio::spawn(serve()).await.unwrap();
    }

    async fn serve() {
        tokio::task::yield_now().await;
        load_config();
    }

    #[tokio::test]
    async fn does_not_wait_for_a_timer() {
        tokio::time::sleep(LONG).await;
    }

    #[tokio::test]
    async fn does_not_where_it_may() {
        tokio::task::spawn_blocking(load_config).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn does_not_in_place() {
        tokio::spawn(async { tokio::task::block_in_place(load_config) })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn does_not_while_it_yields() {
        for _ in 0..200 {
            compute(3);
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn does_not_for_a_lock_of_tokio() {
        let lock = std::sync::Arc::new(tokio::sync::Mutex::new(()));
        let other = lock.clone();
        let task = tokio::spawn(async move {
            let _guard = other.lock().await;
            tokio::time::sleep(LONG).await;
        });
        tokio::task::yield_now().await;
        let _ = lock.lock().await;
        task.await.unwrap();
    }

    #[test]
    fn does_not_without_a_runtime() {
        load_config();
    }

    #[test]
    fn does_not_before_its_runtime() {
        load_config();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { load_nothing().await });
        load_config();
    }

    async fn load_nothing() {
        tokio::task::yield_now().await;
    }
}
