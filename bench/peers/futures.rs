// SPDX-License-Identifier: MIT

// What tokio's tasks and rayon's join take for the questions that weft's benchmarks of the same
// name ask. Without arguments it lists them; NAME SECONDS measures one for about so long, and
// prints the nanoseconds of an item (`time 12.3`) or the bytes (`bytes 456`).

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, Mutex, Notify};
use tokio::task::{yield_now, JoinHandle};

const CALLS: usize = 100_000;
const YIELDS: usize = 100_000;
const TURNS: usize = 20_000;
const NUMBERS: u64 = 100_000;
const WAITING: usize = 1_000_000;

/// A number that the compiler knows nothing of (std's black_box is younger than some compilers).
fn opaque(mut number: i64) -> i64 {
    unsafe { std::arch::asm!("/* {0} */", inout(reg) number, options(nomem, nostack)) };
    number
}

fn runtime(workers: usize) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(workers)
        .build()
        .unwrap()
}

/// The time of an item, from as many rounds of `items` each as fit into `budget`.
fn per_item(budget: Duration, items: usize, mut round: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut rounds = 0;
    while rounds == 0 || begin.elapsed() < budget {
        round();
        rounds += 1;
    }
    begin.elapsed().as_nanos() as f64 / (rounds * items) as f64
}

/// Runs a task that makes a future for each round, on a worker.
fn rounds<F>(workers: usize, budget: Duration, items: usize, make: impl Fn() -> F) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = runtime(workers);
    per_item(budget, items, || {
        runtime.block_on(runtime.spawn(make())).unwrap()
    })
}

async fn join(all: Vec<JoinHandle<()>>) {
    for one in all {
        one.await.unwrap();
    }
}

#[inline(never)]
async fn add_one(x: i64) -> i64 {
    x + 1
}
#[inline(never)]
fn boxed_add_one(x: i64) -> Pin<Box<dyn Future<Output = i64> + Send>> {
    Box::pin(async move { x + 1 })
}
fn descend(levels: i64) -> Pin<Box<dyn Future<Output = i64> + Send>> {
    Box::pin(async move {
        if levels == 0 {
            0
        } else {
            descend(levels - 1).await + 1
        }
    })
}

async fn await_calls() {
    let mut sum = 0;
    for _ in 0..CALLS {
        sum = opaque(add_one(sum).await);
    }
    assert_eq!(sum, CALLS as i64);
}
async fn await_boxed_calls() {
    let mut sum = 0;
    for _ in 0..CALLS {
        sum = boxed_add_one(sum).await;
    }
    assert_eq!(sum, CALLS as i64);
}
async fn await_chain(depth: i64) {
    assert_eq!(descend(depth).await, depth);
}

async fn yield_often(tasks: usize) {
    let mut all = Vec::with_capacity(tasks);
    for _ in 0..tasks {
        all.push(tokio::spawn(async move {
            for _ in 0..YIELDS / tasks {
                yield_now().await;
            }
        }));
    }
    join(all).await;
}

async fn spawn_join(tasks: usize) {
    let done = Arc::new(AtomicUsize::new(0));
    let mut all = Vec::with_capacity(tasks);
    for i in 0..tasks {
        all.push(tokio::spawn(async move { i }));
    }
    for one in all {
        done.fetch_add(usize::from(one.await.is_ok()), Relaxed);
    }
    assert_eq!(done.load(Relaxed), tasks);
}

async fn contended_mutex(waiting: usize) {
    let count = Arc::new(Mutex::new(0));
    let mut all = Vec::with_capacity(waiting);
    for _ in 0..waiting {
        let count = count.clone();
        all.push(tokio::spawn(async move {
            for _ in 0..TURNS / waiting {
                let mut held = count.lock().await;
                yield_now().await;
                *held += 1;
            }
        }));
    }
    join(all).await;
    assert_eq!(*count.lock().await, TURNS);
}

async fn mutex() {
    let count = Mutex::new(0);
    for _ in 0..CALLS {
        *count.lock().await += 1;
    }
    assert_eq!(*count.lock().await, CALLS);
}

/// tokio's bounded channel has one receiver, however many senders there are.
async fn channel(senders: u64, slots: usize) {
    let (to, mut from) = mpsc::channel(slots);
    let mut all = Vec::new();
    for first in 0..senders {
        let to = to.clone();
        all.push(tokio::spawn(async move {
            for number in (first..NUMBERS).step_by(senders as usize) {
                to.send(number).await.unwrap();
            }
        }));
    }
    drop(to);
    let receiver = tokio::spawn(async move {
        let mut sum = 0;
        while let Some(number) = from.recv().await {
            sum += number;
        }
        assert_eq!(sum, NUMBERS * (NUMBERS - 1) / 2);
    });
    join(all).await;
    receiver.await.unwrap();
}

fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096.0
}

fn suspended_bytes() -> f64 {
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    static SUM: AtomicI64 = AtomicI64::new(0);
    runtime(1).block_on(async {
        let before = resident();
        let over = Arc::new(Notify::new());
        for number in 0..WAITING as i32 {
            let over = over.clone();
            tokio::spawn(async move {
                let waits = over.notified();
                BEGUN.fetch_add(1, Relaxed);
                waits.await;
                SUM.fetch_add(number as i64, Relaxed);
            });
        }
        while BEGUN.load(Relaxed) < WAITING {
            yield_now().await;
        }
        let bytes = (resident() - before) / WAITING as f64;
        let all = (WAITING * (WAITING - 1) / 2) as i64;
        while SUM.load(Relaxed) != all {
            over.notify_waiters();
            yield_now().await;
        }
        bytes
    })
}

fn fib(n: i64) -> i64 {
    if n < 2 {
        return n;
    }
    let (left, right) = rayon::join(|| fib(n - 1), || fib(n - 2));
    left + right
}
fn calls_of_fib(n: i64) -> usize {
    let (mut value, mut next) = (0, 1);
    for _ in 0..=n {
        (value, next) = (next, value + next);
    }
    2 * value as usize - 1
}

fn list() {
    println!("runtime/task_await/tokio\nruntime/task_await/tokio_boxed\nruntime/mutex/tokio");
    println!("runtime/task_chain/tokio_boxed/depth:1000\nruntime/suspended_bytes/tokio");
    let full = std::env::var_os("WEFT_BENCH_FULL").is_some();
    for workers in 1..=2 {
        println!("runtime/yield/tokio/tasks:1000/workers:{workers}");
        println!("runtime/spawn_join/tokio/tasks:1000000/workers:{workers}");
        println!("runtime/when_all/tokio/tasks:1000/workers:{workers}");
        println!("runtime/contended_mutex/tokio/waiting:1000/workers:{workers}");
        println!("runtime/channel/tokio/pairs:1/workers:{workers}/slots:1024");
        println!("runtime/channel/tokio_one_receiver/pairs:4/workers:{workers}/slots:1024");
        println!(
            "sched/fork_join_fib/rayon_join/n:{}/workers:{workers}",
            if full { 39 } else { 30 }
        );
    }
}

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    if given.len() != 2 {
        return list();
    }
    let parts: Vec<&str> = given[0].split('/').collect();
    let arguments: HashMap<&str, usize> = parts[3..]
        .iter()
        .map(|part| part.split_once(':').unwrap())
        .map(|(key, value)| (key, value.parse().unwrap()))
        .collect();
    let budget = Duration::from_secs_f64(given[1].parse().unwrap());
    let of = |key| arguments.get(key).copied().unwrap_or(1);
    let (workers, tasks) = (of("workers"), of("tasks"));
    let time = match (parts[1], parts[2]) {
        ("task_await", "tokio") => rounds(1, budget, CALLS, await_calls),
        ("task_await", _) => rounds(1, budget, CALLS, await_boxed_calls),
        ("task_chain", _) => rounds(1, budget, of("depth"), move || {
            await_chain(of("depth") as i64)
        }),
        ("yield", _) => rounds(workers, budget, YIELDS, || yield_often(tasks)),
        ("spawn_join" | "when_all", _) => rounds(workers, budget, tasks, || spawn_join(tasks)),
        ("contended_mutex", _) => rounds(workers, budget, TURNS, || contended_mutex(of("waiting"))),
        ("mutex", _) => rounds(1, budget, CALLS, mutex),
        ("channel", _) => {
            let (pairs, slots) = (of("pairs") as u64, of("slots"));
            rounds(workers, budget, NUMBERS as usize, || channel(pairs, slots))
        }
        ("suspended_bytes", _) => return println!("bytes {}", suspended_bytes()),
        ("fork_join_fib", _) => {
            let n = of("n") as i64;
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(workers)
                .build()
                .unwrap();
            pool.install(|| {
                per_item(budget, calls_of_fib(n), || {
                    opaque(fib(opaque(n)));
                })
            })
        }
        _ => panic!("nothing is called {}", given[0]),
    };
    println!("time {time}");
}
