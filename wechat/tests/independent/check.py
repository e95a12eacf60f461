"""What tests/independent.rs asks of wechatpayv3, an implementation of WeChat Pay v3 that is not ours.

The command is the first argument, its input is JSON on standard input, its result JSON on standard output. An
assertion that fails ends it with a traceback, and with it the test.
"""

import json
import sys
from urllib.parse import urlsplit

import requests
import wechatpayv3.core
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.utils import load_private_key, load_public_key, rsa_sign, rsa_verify

DESCRIPTION = "广州南 → 香港西九龙，2 张"


class ToSimulator:
    """Stands in for `requests` inside the library, which knows WeChat's address only: rewrites the host."""

    def __init__(self, base):
        self.base = base

    def __getattr__(self, method):
        def call(url, **arguments):
            parts = urlsplit(url)
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            return getattr(requests, method)(self.base + target, **arguments)

        return call


def public_key_mode(world):
    """Makes no call; afterwards it is pointed at the simulator."""
    client = WeChatPay(
        WeChatPayType.MINIPROG,
        world["mchid"],
        world["private_key_pem"],
        world["serial"],
        world["appid"],
        world["api_v3_key"],
        notify_url=world["notify_url"],
        public_key=world["public_key_pem"],
        public_key_id=world["public_key_id"],
        timeout=20,
    )
    client._core._gate_way = world["base_url"]
    return client


def certificate_mode(world):
    """Downloads the certificates while it is made."""
    wechatpayv3.core.requests = ToSimulator(world["base_url"])
    return WeChatPay(
        WeChatPayType.MINIPROG,
        world["mchid"],
        world["private_key_pem"],
        world["serial"],
        world["appid"],
        world["api_v3_key"],
        notify_url=world["notify_url"],
        timeout=20,
    )


def control(world, path, body=None):
    response = requests.post(f"{world['base_url']}/_sim/{path}", json=body or {}, timeout=20)
    assert response.status_code < 300, (path, response.status_code, response.text)
    return response.json() if response.content else None


def asked(answer, status=200):
    """The JSON of an answer that the library has verified, or of an error."""
    code, text = answer
    assert code == status, answer
    return json.loads(text)


def trade(world, client, prefix):
    """The life of two transactions: one is paid and refunded in parts, the other closed."""
    paid, closed = f"{prefix}-paid", f"{prefix}-closed"
    amount, payer = {"total": 12850, "currency": "CNY"}, {"openid": "alice"}
    for number in (paid, closed):
        created = asked(client.pay(DESCRIPTION, number, amount, payer))
        assert created["prepay_id"].startswith("wx"), created
        assert asked(client.query(out_trade_no=number))["trade_state"] == "NOTPAY"
    assert asked(client.pay("another", paid, amount, payer), 403)["code"] == "OUT_TRADE_NO_USED"

    control(world, f"transactions/{paid}/pay")
    transaction = asked(client.query(out_trade_no=paid))
    number = transaction["transaction_id"]
    assert transaction["trade_state"] == "SUCCESS" and len(number) == 28 and number.startswith("42"), transaction
    assert asked(client.query(transaction_id=number)) == transaction
    assert client.close(paid)[0] == 400

    code, body = client.close(closed)
    assert code == 204 and not body, (code, body)
    assert asked(client.query(out_trade_no=closed))["trade_state"] == "CLOSED"

    part = {"refund": 2850, "total": 12850, "currency": "CNY"}
    refund = asked(client.refund(f"{prefix}-R1", part, out_trade_no=paid, reason="改签"))
    assert refund["status"] == "PROCESSING" and refund["refund_id"].startswith("50"), refund
    again = asked(client.refund(f"{prefix}-R1", part, out_trade_no=paid, reason="改签"))
    assert again["refund_id"] == refund["refund_id"]
    assert asked(client.refund(f"{prefix}-R2", part, transaction_id=number), 429)["code"] == "FREQUENCY_LIMITED"
    control(world, "clock/advance", {"seconds": 90})
    assert asked(client.query_refund(f"{prefix}-R1"))["status"] == "SUCCESS"
    assert asked(client.query(out_trade_no=paid))["trade_state"] == "REFUND"

    control(world, "faults", {"refund": {"refund_becomes": "ABNORMAL", "times": 1}})
    stuck = asked(client.refund(f"{prefix}-R3", part, transaction_id=number))
    control(world, "clock/advance", {"seconds": 90})
    assert asked(client.query_refund(f"{prefix}-R3"))["status"] == "ABNORMAL"
    moved = client.abnormal_refund(stuck["refund_id"], f"{prefix}-R3", "USER_BANK_CARD", "ICBC_DEBIT", "6222", "张三")
    assert asked(moved)["status"] == "PROCESSING"
    control(world, "clock/advance", {"seconds": 90})
    assert asked(client.query_refund(f"{prefix}-R3"))["status"] == "SUCCESS"

    for answer in (client.query(out_trade_no="never-created"), client.query_refund("never-made")):
        assert answer[0] == 404, answer


def refuses(client, number):
    """Whether the library takes an answer for a forgery."""
    try:
        client.query(out_trade_no=number)
    except Exception:
        return True
    return False


def forgeries(world, client, prefix):
    """Every answer that is spoilt is refused, and the next one is taken."""
    faults = [
        {"alter_body": True},
        {"truncate_body": True},
        {"reserialise_body": True},
        {"signtest": "decodable"},
        {"signtest": "undecodable"},
        {"wrong_serial": True},
        {"missing_header": "Wechatpay-Signature"},
        {"missing_header": "Wechatpay-Signature-Type"},
    ]
    for fault in faults:
        control(world, "faults", {"query": {**fault, "times": 1}})
        assert refuses(client, f"{prefix}-paid"), fault
        assert not refuses(client, f"{prefix}-paid"), fault


def act_as_client(world):
    client = public_key_mode(world)
    assert client._core._certificates == []
    trade(world, client, "T-key")
    forgeries(world, client, "T-key")
    # A certificate's signature in public-key mode: the library fetches the certificates and accepts it.
    control(world, "settings", {"answers_signed_with": "certificate"})
    trade(world, client, "T-mixed")
    assert len(client._core._certificates) == 1
    control(world, "settings", {"answers_signed_with": "requested"})

    client = certificate_mode(world)
    serials = [f"{certificate.serial_number:040X}" for certificate in client._core._certificates]
    assert serials == [world["certificate_serial"]], serials
    trade(world, client, "T-cert")
    forgeries(world, client, "T-cert")
    # Another certificate follows: the library meets its serial and fetches it.
    control(world, "certificates")
    assert asked(client.query(out_trade_no="T-cert-paid"))["trade_state"] == "REFUND"
    assert len(client._core._certificates) == 2
    return "traded"


def verify_requests(world):
    """Of each request: whether the library verifies it, and whether it would have signed it byte for byte so."""
    public, private = load_public_key(world["merchant_public_key_pem"]), load_private_key(world["private_key_pem"])
    verdicts = []
    for request in world["requests"]:
        head = f"{request['method']}\n{request['target']}\n{request['timestamp']}"
        message = f"{head}\n{request['nonce']}\n{request['body']}\n"
        try:
            verified = rsa_verify(head, request["nonce"], request["body"], request["signature"], public)
        except ValueError:
            verified = False
        verdicts.append({"verified": verified, "same": rsa_sign(private, message) == request["signature"]})
    return verdicts


def sign_pay_parameters(world):
    given = world["pay_params"]
    return public_key_mode(world).sign([given["appId"], given["timeStamp"], given["nonceStr"], given["package"]])


def decode_callbacks(world):
    """Of each callback what the library decodes, null when it refuses."""
    results, client = [], public_key_mode(world)
    for callback in world["callbacks"]:
        try:
            decoded = client.callback(callback["headers"], callback["body"])
        except Exception:
            # It raises for what it does not know: a serial that is no number, a signature of another length.
            decoded = None
        results.append(decoded or None)
    return results


COMMANDS = {
    "act-as-client": act_as_client,
    "verify-requests": verify_requests,
    "sign-pay-parameters": sign_pay_parameters,
    "decode-callbacks": decode_callbacks,
}

if __name__ == "__main__":
    json.dump(COMMANDS[sys.argv[1]](json.load(sys.stdin)), sys.stdout)
