from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class PaymentRequest(_message.Message):
    __slots__ = ("order_id", "amount", "currency", "user_id")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    amount: float
    currency: str
    user_id: str
    def __init__(self, order_id: _Optional[str] = ..., amount: _Optional[float] = ..., currency: _Optional[str] = ..., user_id: _Optional[str] = ...) -> None: ...

class PaymentResponse(_message.Message):
    __slots__ = ("payment_id", "status")
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    payment_id: str
    status: str
    def __init__(self, payment_id: _Optional[str] = ..., status: _Optional[str] = ...) -> None: ...
