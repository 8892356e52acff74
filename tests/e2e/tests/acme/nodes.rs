//! Several nodes on one database.

use jiff::SignedDuration;
use tagmint_e2e::{AcmeStep, Moment};

use super::{
    TestResult,
    inside::{DAY, Stage},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_orders_and_all_serve_what_came_of_it() -> TestResult {
    let stage = Stage::new().await?;
    let nodes = [stage.node().await?, stage.node().await?, stage.node().await?];
    // The third alone is reached on port 80.
    stage.listen(&nodes[2]);
    for round in 1..=2 {
        let steps = nodes.each_ref().map(|node| {
            let manager = node.manager.clone();
            tokio::spawn(async move { manager.step().await })
        });
        for step in steps {
            step.await?;
        }
        assert_eq!(stage.orders(), round, "one node ordered");
        for node in &nodes {
            node.manager.step().await;
        }
        let serials = [nodes[0].serial()?, nodes[1].serial()?, nodes[2].serial()?];
        assert!(serials.iter().all(|serial| *serial == serials[0]), "{serials:?}");
        stage.pass(DAY * 61);
    }
    assert_eq!(stage.pebble.proxy().accepted(AcmeStep::Finalize).len(), 2);
    assert_eq!(stage.pebble.proxy().accounts().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_node_that_dies_over_an_order_is_followed_by_another_one_once_its_lease_has_run_out() -> TestResult {
    let stage = Stage::new().await?;
    let (dying, other) = (stage.node().await?, stage.node().await?);
    stage.listen(&other);
    stage.break_off(dying, AcmeStep::Finalize, Moment::After).await?;
    let before = stage.pebble.proxy().seen().len();
    other.manager.step().await;
    assert_eq!(stage.pebble.proxy().seen().len(), before, "the lease keeps it away");
    stage.pass(SignedDuration::from_mins(1));
    other.manager.step().await;
    other.facts()?;
    assert_eq!(stage.orders(), 1, "it went on with the order");
    assert_eq!(stage.pebble.proxy().accepted(AcmeStep::Finalize).len(), 1);
    Ok(())
}
