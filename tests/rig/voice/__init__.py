"""Voice on the rig: PBX pods, the proxies in front of them, and the callers, with exact account of every call.

    callers (SIPp) ──INVITE sip:1000@FLEET.rig──▶ proxies (Kamailio) ──▶ a fleet's Ready pods (Asterisk)
                                                     ▲
                            dispatcher feeder ───────┘ which pods, from the cluster

`asterisk/` and `kamailio/` are configuration as a person would write it, with %{NAME} where a container's own address
or environment goes. docs/rig.md says what a caller may dial and how the ledger counts.
"""
