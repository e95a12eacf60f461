//! What one thread has packed another one unpacks, as an order may be looked at on any arbiter.

use deeptravel_domain::ids::{OrderId, RouteCode};
use deeptravel_domain::packing;

#[test]
fn codes_packed_on_one_thread_are_the_same_on_another() {
    let order = OrderId::from_bits(7 << 80);
    let codes = || (0..3_000).map(|n| format!("route-{n}").parse::<RouteCode>().unwrap()).collect::<Vec<_>>();
    let pack = move |codes: &Vec<RouteCode>| packing::for_order(order, || postcard::to_allocvec(codes)).unwrap();
    let packed = pack(&codes());
    let elsewhere = std::thread::spawn(move || {
        let unpacked = packing::for_order(order, || postcard::from_bytes::<Vec<RouteCode>>(&packed)).unwrap();
        assert_eq!(pack(&codes()), packed, "the same numbers");
        unpacked
    });
    assert_eq!(elsewhere.join().unwrap(), codes());
}
