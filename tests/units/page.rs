//! The chart of the page, as the template shows it.

use askama::Template;
use watchtower_sidecar::db::views::months::{Month, UsersByMonth};
use watchtower_sidecar::db::views::statistics::Stats;
use watchtower_sidecar::page::{Chart, Frame, Overview, Users};

fn overview(months: &[(i32, u8, u64, u64, u64)], undated: u64) -> String {
    let stats = || Stats {
        total_active_users: 0,
        tv_users: 1_234_567,
        movie_users: 0,
    };
    let months = months
        .iter()
        .map(|&(year, month, tv, movie_only, others)| Month {
            year,
            month,
            tv,
            movie_only,
            others,
        });
    let joined = UsersByMonth {
        stats: stats(),
        stats_error: None,
        months: months.collect(),
        undated,
    };
    let page = Overview {
        frame: Frame {
            root: "./",
            caller: None,
            serves_login: false,
        },
        stats: stats(),
        chart: Chart::new(&joined),
        now: "2026-11-26T14:00:00Z".to_owned(),
        search: String::new(),
        users: Users::Unreadable(""),
    };
    page.render().unwrap()
}

#[test]
fn months_without_users_are_in_the_chart_and_old_ones_in_its_note() {
    let months = [(2019, 1, 7, 0, 0), (2023, 11, 3, 2, 1), (2024, 2, 10, 0, 0)];
    let html = overview(&months, 4);
    for expected in [
        "16 active users joined from Mar 2021 to Feb 2024, most in Feb 2024: 10.",
        "Not in the chart: 7 joined before Mar 2021; 4 have no readable date.",
        "highest line: 10<",
        r#"<rect class="others bar" x="643.0" y="80.0" "#,
        r#"height="200.0"/>"#,
        ">1,234,567<",
    ] {
        assert!(html.contains(expected), "{expected}: {html}");
    }
    let bars = html.split("</defs>").nth(1).unwrap();
    let bars = bars.split("</svg>").next().unwrap();
    assert_eq!(bars.matches("<rect ").count(), 4);
    assert_eq!(html.matches("<tr><th scope=\"row\">").count(), 36);
}

#[test]
fn there_is_no_chart_without_users() {
    assert!(!overview(&[], 9).contains("<figure"));
}

#[test]
fn the_top_is_a_round_number() {
    for (users, top) in [
        (1, "1"),
        (3, "5"),
        (6, "10"),
        (11, "20"),
        (4_999, "5,000"),
        (u64::MAX, "18,446,744,073,709,551,615"),
    ] {
        let html = overview(&[(2024, 2, users, 0, 0)], 0);
        assert!(html.contains(&format!("highest line: {top}<")), "{users}");
    }
}
