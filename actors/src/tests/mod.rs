//! The engine as stories.

mod announcing;
mod at_hand;
mod attention;
mod births;
mod board;
mod breaking;
mod channels;
mod configuring;
mod late;
mod overriding;
mod packages;
mod partner_orders;
mod partners;
mod paying;
mod projecting;
mod promoting;
mod reserving;
mod restarting;
mod resting;
mod scanning;
mod selling;
mod sleeping;
mod space;
mod stock;
mod turns;
