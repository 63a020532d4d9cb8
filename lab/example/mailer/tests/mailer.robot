*** Settings ***
Documentation     What mailer promises, seen through its API and on the queues behind it.
Library           RequestsLibrary
Library           Collections
Library           Queues.py
Suite Setup       Open Mailer

*** Variables ***
${BASE_URL}       %{BASE_URL=http://127.0.0.1:8080}

*** Test Cases ***
The Version Is Told
    ${answer}=    GET On Session    mailer    /version
    Should Be Equal    ${answer.json()}[service]    mailer

The Broker Asks For The Password
    Account Is Refused With Another Password

A Message Sent Through The API Is A Mail In The Outbox
    ${body}=    Create Dictionary    to=ada@example.com    subject=Grüße, Zoë    text=漢字 café
    ${answer}=    POST On Session    mailer    /messages    json=${body}    expected_status=202
    ${mail}=    Rendered Mail    ${answer.json()}[id]
    Dictionaries Should Be Equal    ${mail}    ${body}

A Message Put Into The Queue By Another Module Is Rendered As Well
    Enqueue    {"to": "grace@example.com", "subject": "Build", "text": "green"}    by-queue-1
    ${mail}=    Rendered Mail    by-queue-1
    Should Be Equal    ${mail}[subject]    Build

What Cannot Be Rendered Waits Where A Person Looks
    Enqueue    no json    broken-1
    ${dead}=    Dead Request    broken-1
    Should Be Equal    ${dead}    no json
    ${body}=    Create Dictionary    to=ada@example.com    subject=still alive    text=yes
    ${answer}=    POST On Session    mailer    /messages    json=${body}    expected_status=202
    Rendered Mail    ${answer.json()}[id]

A Malformed Message Is Refused And Not Queued
    ${before}=    GET On Session    mailer    /queues
    ${body}=    Create Dictionary    to=nobody    subject=${EMPTY}    cc=x
    ${answer}=    POST On Session    mailer    /messages    json=${body}    expected_status=400
    Length Should Be    ${answer.json()}[errors]    4
    ${after}=    GET On Session    mailer    /queues
    Dictionaries Should Be Equal    ${before.json()}    ${after.json()}

An Unknown Path Is Not Found
    GET On Session    mailer    /nothing    expected_status=404

*** Keywords ***
Open Mailer
    Create Session    mailer    ${BASE_URL}
    Wait Until Keyword Succeeds    120s    0.5s    GET On Session    mailer    /readyz
