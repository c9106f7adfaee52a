//! The chart of users joined per month: stacked bars as rectangles of an SVG, and a table of the numbers.

use super::format::thousands;
use crate::db::views::months::{Month, UsersByMonth};

/// How many months are shown, up to the last one in which a user joined.
const MONTHS_SHOWN: i32 = 36;

/// In the SVG's units.
const WIDTH: u32 = 720;
const HEIGHT: u32 = 200;
const WIDEST_BAR: f64 = 36.0;
/// The share of a month's width that its bar takes.
const BAR_SHARE: f64 = 0.7;

const NAMES: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Users joined per month.
pub struct Chart {
    /// Every month that is shown, in order
    months: Vec<Month>,
    /// Users who joined before the first of them
    earlier: u64,
    /// Users without a readable date
    undated: u64,
    /// What the highest grid line stands for
    top: u64,
}

/// A rectangle of the chart.
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) x: Decimal,
    pub(super) y: Decimal,
    pub(super) width: Decimal,
    pub(super) height: Decimal,
}

/// A number that is printed with one decimal place.
pub(super) struct Decimal(f64);

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1}", self.0)
    }
}

/// A row of the table below the chart.
pub(super) struct Row {
    pub(super) label: String,
    pub(super) tv: u64,
    pub(super) movie_only: u64,
    pub(super) others: u64,
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
            months,
            earlier,
            undated: joined.undated,
            top: round_up(highest),
        })
    }

    pub(super) fn width(&self) -> u32 {
        WIDTH
    }

    pub(super) fn height(&self) -> u32 {
        HEIGHT
    }

    /// What the highest grid line stands for.
    pub(super) fn top(&self) -> u64 {
        self.top
    }

    /// The heights of the grid lines: top, middle, bottom.
    pub(super) fn lines(&self) -> [Decimal; 3] {
        [0.5, f64::from(HEIGHT) / 2.0, f64::from(HEIGHT) - 0.5].map(Decimal)
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
                    x: Decimal(room * index as f64 + (room - width) / 2.0),
                    y: Decimal(y),
                    width: Decimal(width),
                    height: Decimal(height),
                });
            }
        }
        bars
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let rows = self.months.iter().map(|month| Row {
            label: label(month),
            tv: month.tv,
            movie_only: month.movie_only,
            others: month.others,
        });
        rows.collect()
    }

    pub(super) fn first(&self) -> String {
        self.months.first().map(label).unwrap_or_default()
    }

    pub(super) fn last(&self) -> String {
        self.months.last().map(label).unwrap_or_default()
    }

    /// The chart in words.
    pub(super) fn sentence(&self) -> String {
        let users: u64 = self.months.iter().map(total).sum();
        let most = self.months.iter().max_by_key(|month| total(month));
        let most = most.map_or_else(String::new, |most| {
            format!(", most in {}: {}", label(most), thousands(total(most)))
        });
        format!(
            "{} active users joined from {} to {}{most}. The table below has the numbers.",
            thousands(users),
            self.first(),
            self.last()
        )
    }

    /// Which users are not in the chart.
    pub(super) fn note(&self) -> Option<String> {
        let earlier = (self.earlier > 0)
            .then(|| format!("{} joined before {}", thousands(self.earlier), self.first()));
        let undated = (self.undated > 0)
            .then(|| format!("{} have no readable date", thousands(self.undated)));
        let parts: Vec<_> = earlier.into_iter().chain(undated).collect();
        (!parts.is_empty()).then(|| format!("Not in the chart: {}.", parts.join("; ")))
    }
}

fn total(month: &Month) -> u64 {
    month.tv + month.movie_only + month.others
}

fn label(month: &Month) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::views::statistics::Stats;

    fn joined(months: &[(i32, u8, u64, u64, u64)], undated: u64) -> UsersByMonth {
        let months = months
            .iter()
            .map(|&(year, month, tv, movie_only, others)| Month {
                year,
                month,
                tv,
                movie_only,
                others,
            });
        UsersByMonth {
            stats: Stats {
                total_active_users: 0,
                tv_users: 0,
                movie_users: 0,
            },
            months: months.collect(),
            undated,
        }
    }

    #[test]
    fn months_without_users_are_in_the_chart_and_old_ones_in_its_note() {
        let chart = Chart::new(&joined(
            &[(2019, 1, 7, 0, 0), (2023, 11, 3, 2, 1), (2024, 2, 10, 0, 0)],
            4,
        ))
        .unwrap();
        assert_eq!(chart.rows().len(), 36);
        assert_eq!(
            (chart.first(), chart.last()),
            ("Mar 2021".into(), "Feb 2024".into())
        );
        assert_eq!(chart.bars().len(), 4);
        assert_eq!(chart.top(), 10);
        let note = "Not in the chart: 7 joined before Mar 2021; 4 have no readable date.";
        assert_eq!(chart.note().as_deref(), Some(note));
        let bars = chart.bars();
        assert_eq!(bars[3].height.to_string(), "200.0");
        assert_eq!(bars[2].y.to_string(), "80.0");
    }

    #[test]
    fn there_is_no_chart_without_users() {
        assert!(Chart::new(&joined(&[], 9)).is_none());
    }

    #[test]
    fn the_top_is_a_round_number() {
        assert_eq!(
            [1, 3, 6, 10, 11, 4_999].map(round_up),
            [1, 5, 10, 10, 20, 5_000]
        );
        assert_eq!(round_up(u64::MAX), u64::MAX);
    }
}
