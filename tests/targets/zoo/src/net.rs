//! Waiting for the network: a server that takes its time, and a slow name server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use crate::specimen::{named_thread, Specimen};

pub async fn tcp(zoo: Specimen) {
    let address = slow_server(zoo.block);
    while zoo.pause().await {
        zoo.blocked("ask_server", || ask_server(address));
    }
}

pub async fn dns(zoo: Specimen) {
    let port = slow_name_server(zoo.block);
    while zoo.pause().await {
        zoo.blocked("look_up", || look_up(port));
    }
}

fn ask_server(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).expect("a server that listens");
    let mut answer = [0; 1];
    stream.write_all(b"?").and_then(|()| stream.read_exact(&mut answer)).expect("an answer");
}

fn look_up(port: u16) -> bool {
    use_name_server(port);
    // a name that ends in a dot is not tried with other endings
    "zoo.test.:80".to_socket_addrs().is_ok()
}

fn slow_server(block: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    named_thread("tcp-server", move || {
        for stream in listener.incoming().flatten() {
            answer_late(stream, block);
        }
    });
    address
}

fn answer_late(mut stream: TcpStream, block: Duration) {
    let mut asked = [0; 1];
    if stream.read_exact(&mut asked).is_ok() {
        std::thread::sleep(block);
        let _ = stream.write_all(b"!");
    }
}

/// Says of each name, `block` after it was asked, that it does not exist.
fn slow_name_server(block: Duration) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let port = socket.local_addr().expect("a bound socket").port();
    named_thread("name-server", move || {
        let mut packet = [0; 512];
        while let Ok((size, from)) = socket.recv_from(&mut packet) {
            // RFC 1035, 4.1.1: an answer, recursion available, no such name
            packet[2] |= 0x80;
            packet[3] = 0x83;
            if packet[size - 3] == 1 {
                std::thread::sleep(block); // the A question; that for AAAA comes with it
            }
            let _ = socket.send_to(&packet[..size], from);
        }
    });
    port
}

/// Lets the resolver of this thread ask a server of ours: `struct __res_state` of glibc's resolv.h
/// has `int nscount` at 16 and the servers' `struct sockaddr_in` from 20 on.
#[cfg(target_env = "gnu")]
fn use_name_server(port: u16) {
    extern "C" {
        fn __res_init() -> libc::c_int;
        fn __res_state() -> *mut u8;
    }
    // SAFETY: the state is this thread's own; the offsets are part of glibc's ABI.
    unsafe {
        let state = __res_state();
        if state.add(8).cast::<u64>().read_unaligned() == 0 {
            __res_init();
        }
        state.add(16).cast::<i32>().write_unaligned(1);
        let server = state.add(20);
        server.cast::<u16>().write_unaligned(libc::AF_INET as u16);
        server.add(2).cast::<u16>().write_unaligned(port.to_be());
        server.add(4).cast::<[u8; 4]>().write_unaligned([127, 0, 0, 1]);
    }
}

#[cfg(not(target_env = "gnu"))]
fn use_name_server(_port: u16) {}
