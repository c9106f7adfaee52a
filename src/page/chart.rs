//! The chart of users joined per month: stacked bars as rectangles of an SVG, and a table of the numbers.

use super::filters::with_commas;
use crate::db::views::months::{Month, UsersByMonth};

/// How many months are shown, up to the last one in which a user joined.
const MONTHS_SHOWN: i32 = 36;

/// In the SVG's units.
pub(super) const WIDTH: u32 = 720;
pub(super) const HEIGHT: u32 = 200;
const WIDEST_BAR: f64 = 36.0;
/// The share of a month's width that its bar takes.
const BAR_SHARE: f64 = 0.7;

const NAMES: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Users joined per month.
pub struct Chart {
    /// Every month that is shown, in order
    pub(super) months: Vec<Month>,
    pub(super) first: String,
    pub(super) last: String,
    /// Users who joined before the first of them
    earlier: u64,
    /// Users without a readable date
    undated: u64,
    /// What the highest grid line stands for
    pub(super) top: u64,
}

/// A rectangle of the chart.
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Chart {
    /// The chart; `None` if no user has a date.
    pub fn new(joined: &UsersByMonth) -> Option<Chart> {
        let number = |month: &Month| month.year * 12 + i32::from(month.month) - 1;
        let last = number(joined.months.last()?);
        let first = number(joined.months.first()?).max(last - MONTHS_SHOWN + 1);
        let mut months: Vec<Month> = (first..=last)
            .map(|number| Month {
                year: number.div_euclid(12),
                // A remainder of twelve fits.
                month: (number.rem_euclid(12) + 1) as u8,
                tv: 0,
                movie_only: 0,
                others: 0,
            })
            .collect();
        let mut earlier = 0;
        for month in &joined.months {
            let index = usize::try_from(number(month) - first).ok();
            match index.and_then(|index| months.get_mut(index)) {
                Some(shown) => *shown = month.clone(),
                None => earlier += total(month),
            }
        }
        let highest = months.iter().map(total).max()?;
        Some(Chart {
            first: months.first().map(label)?,
            last: months.last().map(label)?,
            months,
            earlier,
            undated: joined.undated,
            top: round_up(highest),
        })
    }

    /// The heights of the grid lines: top, middle, bottom.
    pub(super) fn lines(&self) -> [f64; 3] {
        [0.5, f64::from(HEIGHT) / 2.0, f64::from(HEIGHT) - 0.5]
    }

    pub(super) fn bars(&self) -> Vec<Bar> {
        let room = f64::from(WIDTH) / self.months.len() as f64;
        let width = (room * BAR_SHARE).min(WIDEST_BAR);
        let unit = f64::from(HEIGHT) / self.top as f64;
        let mut bars = Vec::with_capacity(self.months.len() * 3);
        for (index, month) in self.months.iter().enumerate() {
            let mut y = f64::from(HEIGHT);
            for (class, users) in [
                ("tv", month.tv),
                ("movie", month.movie_only),
                ("others", month.others),
            ] {
                if users == 0 {
                    continue;
                }
                let height = users as f64 * unit;
                y -= height;
                bars.push(Bar {
                    class,
                    x: room * index as f64 + (room - width) / 2.0,
                    y,
                    width,
                    height,
                });
            }
        }
        bars
    }

    /// The chart in words.
    pub(super) fn sentence(&self) -> String {
        let users: u64 = self.months.iter().map(total).sum();
        let most = self.months.iter().max_by_key(|month| total(month));
        let most = most.map_or_else(String::new, |most| {
            format!(", most in {}: {}", label(most), with_commas(total(most)))
        });
        format!(
            "{} active users joined from {} to {}{most}. The table below has the numbers.",
            with_commas(users),
            self.first,
            self.last
        )
    }

    /// Which users are not in the chart.
    pub(super) fn note(&self) -> Option<String> {
        let earlier = (self.earlier > 0)
            .then(|| format!("{} joined before {}", with_commas(self.earlier), self.first));
        let undated = (self.undated > 0)
            .then(|| format!("{} have no readable date", with_commas(self.undated)));
        let parts: Vec<_> = earlier.into_iter().chain(undated).collect();
        (!parts.is_empty()).then(|| format!("Not in the chart: {}.", parts.join("; ")))
    }
}

fn total(month: &Month) -> u64 {
    month.tv + month.movie_only + month.others
}

pub(super) fn label(month: &Month) -> String {
    let name = NAMES.get(usize::from(month.month).wrapping_sub(1));
    format!("{} {}", name.unwrap_or(&"?"), month.year)
}

/// The next number that is 1, 2 or 5 followed by zeros.
fn round_up(number: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for step in [1, 2, 5] {
            let round = power.saturating_mul(step);
            if round >= number {
                return round;
            }
        }
        power = power.saturating_mul(10);
    }
}
