import base64, hashlib, hmac, os, sys, time

secret = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
message_id, timestamp, signatures = sys.argv[1:4]  # webhook-id, webhook-timestamp, webhook-signature
body = sys.stdin.buffer.read()  # as it came, before any JSON is read
signed = f"{message_id}.{timestamp}.".encode() + body
expected = "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
fits = [hmac.compare_digest(expected, one) for one in signatures.split(" ")]
fresh = abs(time.time() - int(timestamp)) <= 300
sys.exit(0 if any(fits) and fresh else "this message is not from DeepTravel, or not from now")
