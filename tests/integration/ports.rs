//! Ports for listeners that must be told their port.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;

static NEXT: AtomicU32 = AtomicU32::new(0);
static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A free address, which no other test on this machine gets until this process ends (`tests/support/ports.py`). Its port lies
/// below those that the kernel gives to connections and to listeners on port 0.
pub fn free_address() -> String {
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (std::process::id() * 101 + number) % COUNT;
        let name = format!("watchtower-test-port-{port}");
        let name = SocketAddr::from_abstract_name(name).unwrap();
        let Ok(reserved) = UnixListener::bind_addr(&name) else {
            continue;
        };
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            RESERVED.lock().unwrap().push(reserved);
            return address;
        }
    }
}
