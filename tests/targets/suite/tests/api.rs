//! Integration tests: a crate of their own.

#[tokio::test]
async fn blocks_at_login() {
    suite::load_config();
}

#[tokio::test]
async fn blocks_while_it_computes() {
    suite::compute(12_000);
}

#[tokio::test]
async fn does_not_log_out() {
    tokio::time::sleep(suite::LONG).await;
}
