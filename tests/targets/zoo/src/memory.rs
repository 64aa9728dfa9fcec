//! Memory that takes its time: touched for the first time, given back, paged in by somebody slow.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use crate::specimen::Specimen;
use crate::userfault::Slow;

const PAGE: usize = 4096;

/// Each first touch of a page is a trip into the kernel, on the CPU.
pub async fn page_touch(zoo: Specimen) {
    while zoo.pause().await {
        zoo.blocked("touch_pages", || touch_pages(zoo.block));
    }
}

pub async fn drop_map(zoo: Specimen) {
    let map: BTreeMap<u32, String> = (0..20_000).map(|n| (n, n.to_string())).collect();
    while zoo.pause().await {
        zoo.blocked("copy_and_drop", || copy_and_drop(&map, zoo.block));
    }
}

/// A page that comes `block` after it was touched, as from a slow disk.
pub async fn page_fault(zoo: Specimen) {
    let Some((mut slow, ask)) = Slow::start(zoo.block) else {
        return; // not on this kernel
    };
    while zoo.pause().await {
        zoo.blocked("read_page", || read_page(&mut slow, &ask));
    }
}

fn touch_pages(block: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < block {
        let mut memory: Vec<u8> = Vec::with_capacity(256 * PAGE);
        let spare = memory.spare_capacity_mut();
        for at in (0..spare.len()).step_by(PAGE) {
            spare[at].write(1);
        }
        black_box(&mut memory);
    }
}

fn copy_and_drop(map: &BTreeMap<u32, String>, block: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < block {
        drop(black_box(map.clone()));
    }
}

fn read_page(slow: &mut Slow, ask: &Sender<()>) -> u8 {
    slow.take_away();
    ask.send(()).expect("a thread that brings pages");
    slow.read_page()
}
