use super::*;

/// The order as far as its rows tell it.
pub(super) fn without_volatile(mut order: Order) -> Order {
    order.stage = Stage::Done;
    order.retry_at = None;
    order.failures = 0;
    order.create_called_at = None;
    order.create_unsure = false;
    order
}
