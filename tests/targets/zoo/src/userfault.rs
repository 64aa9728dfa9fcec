//! A page that another thread brings when it is touched: include/uapi/linux/userfaultfd.h.

use std::sync::mpsc::{channel, Sender};
use std::time::Duration;

use crate::specimen::named_thread;

const PAGE: usize = 4096;
const UFFD_API: u64 = 0xaa;
const UFFD_USER_MODE_ONLY: libc::c_int = 1;
const UFFDIO_API: libc::c_ulong = 0xc018_aa3f;
const UFFDIO_REGISTER: libc::c_ulong = 0xc020_aa00;
const UFFDIO_ZEROPAGE: libc::c_ulong = 0xc020_aa04;
const UFFDIO_REGISTER_MODE_MISSING: u64 = 1;

/// One page; a touch sleeps until it is there.
pub struct Slow {
    page: *mut u8,
}

// SAFETY: nobody else has the page.
unsafe impl Send for Slow {}

impl Slow {
    /// The page, and where to ask for it `block` before it comes; None = not on this kernel.
    pub fn start(block: Duration) -> Option<(Slow, Sender<()>)> {
        // SAFETY: a system call and a fresh mapping; both are checked.
        let (uffd, page) = unsafe {
            let flags = libc::O_CLOEXEC | UFFD_USER_MODE_ONLY;
            let uffd = libc::syscall(libc::SYS_userfaultfd, flags) as libc::c_int;
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let page = libc::mmap(std::ptr::null_mut(), PAGE, access, kind, -1, 0);
            (uffd, page)
        };
        if uffd < 0 || page == libc::MAP_FAILED {
            return None;
        }
        let at = page as u64;
        let mut api = [UFFD_API, 0, 0];
        let mut register = [at, PAGE as u64, UFFDIO_REGISTER_MODE_MISSING, 0];
        if !control(uffd, UFFDIO_API, &mut api) || !control(uffd, UFFDIO_REGISTER, &mut register) {
            return None;
        }
        let (ask, asked) = channel();
        named_thread("pager", move || {
            for () in asked {
                std::thread::sleep(block);
                control(uffd, UFFDIO_ZEROPAGE, &mut [at, PAGE as u64, 0, 0]);
            }
        });
        Some((Slow { page: page.cast() }, ask))
    }

    pub fn take_away(&mut self) {
        // SAFETY: our own page, to which no reference exists.
        unsafe { libc::madvise(self.page.cast(), PAGE, libc::MADV_DONTNEED) };
    }

    pub fn read_page(&self) -> u8 {
        // SAFETY: our own page, readable as long as the process lives.
        unsafe { self.page.read_volatile() }
    }
}

fn control<const N: usize>(uffd: libc::c_int, request: libc::c_ulong, data: &mut [u64; N]) -> bool {
    // SAFETY: `data` is of the request's size.
    unsafe { libc::ioctl(uffd, request, data.as_mut_ptr()) == 0 }
}
