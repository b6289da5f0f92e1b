//! Catalogs per second and how long the slowest take, asked for by 1 to 8 agents at once over TLS.

use crate::figures::{Comparison, Unit, quantile};
use crate::machine::Noise;
use crate::sides::{Images, Side, docker};

/// How many agents ask at once.
const CLIENTS: [usize; 4] = [1, 2, 4, 8];
/// Requests of all clients together in one sample.
const REQUESTS: usize = 16;
/// Requests before anything is measured: what is asked for again and again has been compiled by then.
const WARM_UP: usize = 40;

/// Measures the sides one after the other within each round. Only one server runs at a time: they would share cores.
pub fn compare(images: &Images, sides: &mut [&mut Side], rounds: usize, noise: &mut Noise) -> Vec<Comparison> {
    let title = |what: &str, clients: usize| format!("{what}, {clients} agents at once");
    let mut rates: Vec<Comparison> =
        CLIENTS.map(|c| Comparison::new(&title("catalogs per second", c), Unit::PerSecond)).into();
    let mut slow: Vec<Comparison> =
        CLIENTS.map(|c| Comparison::new(&title("95th percentile of a catalog", c), Unit::Milliseconds)).into();
    for _ in 0..rounds {
        for side in sides.iter_mut() {
            side.stays_up();
            let loader = side.loader(images);
            ask(&loader, 2, WARM_UP);
            for (number, clients) in CLIENTS.into_iter().enumerate() {
                noise.sample();
                let (rate, times) = ask(&loader, clients, REQUESTS);
                rates[number].add(side.name(), rate);
                slow[number].add(side.name(), quantile(&times, 0.95) * 1000.0);
            }
            docker(&["rm", "--force", &loader]);
            side.down();
        }
    }
    rates.into_iter().chain(slow).collect()
}

/// Catalogs per second, and how long each took in seconds.
fn ask(loader: &str, clients: usize, requests: usize) -> (f64, Vec<f64>) {
    let each = (requests / clients).to_string();
    let start = std::time::Instant::now();
    let lines = docker(&["exec", loader, "sh", "/peers/load.sh", &clients.to_string(), &each]);
    let taken = start.elapsed().as_secs_f64();
    let mut times = Vec::new();
    for line in lines.lines() {
        let (time, status) = line.split_once(' ').unwrap_or_default();
        assert_eq!(status, "200", "a catalog was refused: {lines}");
        times.push(time.parse().expect("seconds"));
    }
    assert_eq!(times.len(), requests / clients * clients, "answers are missing");
    #[allow(clippy::cast_precision_loss)]
    let rate = times.len() as f64 / taken;
    (rate, times)
}
