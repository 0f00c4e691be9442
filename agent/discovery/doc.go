// Package discovery answers one question: where on the LAN is a register?
//
// Four sources give candidates: an address from the settings, the address at
// which the register was last seen, mDNS ([Browse]), and a polite sweep of the
// configured subnets ([Sweep]). A candidate is only a place to ask. Who is
// there is told by the register itself, in its maker's own protocol (a
// [Prover], handed in by the wiring), and [Finder.Find] returns nothing that
// was not proved during that very call. A register with another serial than
// the wanted one is never returned, so another device behind a known address
// is never sent a receipt, and a register that moved is found by its serial.
//
// The order is: a configured address, and then nothing else; the last known
// address; mDNS; the sweep. The public material of the three makers shows no
// sign that their devices announce themselves, so a typed address with a DHCP
// reservation is the main path, the sweep the second, and mDNS a convenience
// for those that do (ours: _ekassa._tcp with the TXT keys protocol and serial).
//
// Looks at the network are shared by all who ask at the same time and have
// minimum pauses, so that a register which is switched off costs neither a
// stream of queries nor a sweep each second. Every goroutine ends with the
// function that started it.
//
// # Whom to trust
//
// mDNS is not authenticated, and neither is an open port: anyone on the LAN can
// answer. What that can do, and what stands against it:
//
//   - An announcement that lies about serial, protocol or address costs one
//     question to the liar. The announced serial only decides who is asked
//     first. Only private and link-local addresses are asked (loopback only
//     when loopback is browsed), so no announcement makes the agent talk to
//     the internet or to the services of its own host.
//   - Floods are cut: only 32 announced places are kept, so a flood can hide
//     announced registers but not exhaust the agent. The sweep and a typed
//     address do not pass through mDNS at all.
//   - The agent's own front doors speak a register's protocol. Config.Avoid
//     keeps the agent from finding itself and selling to itself in a circle.
//   - Asking shows something to whoever answers: for AzSmart a hash over the
//     Merchant ID, for a maker with a login perhaps the password. A Prover says
//     what it dares to send, see there.
//   - A register's answers carry no signature either, and its serial is printed
//     on every receipt. The proof therefore keeps apart devices that were
//     mixed up, moved or replaced; it does not stop an impostor who sits on the
//     LAN and speaks the protocol. Against that help a separate network for the
//     tills, a typed address, and the fiscal id that the tax office knows.
package discovery
