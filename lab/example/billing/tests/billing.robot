*** Settings ***
Documentation     What billing promises, seen through its API and checked in PostgreSQL and Redis.
Library           RequestsLibrary
Library           Collections
Library           Behind.py
Suite Setup       Open Billing

*** Variables ***
${BASE_URL}       %{BASE_URL=http://127.0.0.1:8080}

*** Test Cases ***
The Version Is Told
    ${answer}=    GET On Session    billing    /version
    Should Be Equal    ${answer.json()}[service]    billing

The Account Owns Its Database And Is No Superuser
    ${superuser}=    Account Is Superuser
    Should Not Be True    ${superuser}

A New Invoice Is A Row
    ${invoice}=    Bill    Zoë Łukasz    ${1250}
    ${row}=    Row Of Invoice    ${invoice}[id]
    ${expected}=    Create List    Zoë Łukasz    ${1250}    open
    Lists Should Be Equal    ${row}    ${expected}

A Request Sent Twice Makes One Invoice And Redis Knows Which
    ${body}=    Create Dictionary    customer=Ada    cents=${900}    request=twice-1
    ${first}=    POST On Session    billing    /invoices    json=${body}    expected_status=201
    ${before}=    Number Of Invoices
    ${second}=    POST On Session    billing    /invoices    json=${body}    expected_status=200
    ${after}=    Number Of Invoices
    Should Be Equal    ${first.json()}[id]    ${second.json()}[id]
    Should Be Equal As Integers    ${before}    ${after}
    ${remembered}=    Remembered Request    twice-1
    Should Be Equal As Integers    ${remembered}    ${first.json()}[id]

An Invoice Is Paid Once
    ${invoice}=    Bill    Grace    ${100}
    ${paid}=    POST On Session    billing    /invoices/${invoice}[id]/pay
    Should Be Equal    ${paid.json()}[state]    paid
    ${row}=    Row Of Invoice    ${invoice}[id]
    Should Be Equal    ${row}[2]    paid
    POST On Session    billing    /invoices/${invoice}[id]/pay    expected_status=409

A Malformed Invoice Is Refused And Leaves Nothing Behind
    ${before}=    Number Of Invoices
    ${body}=    Create Dictionary    customer=${EMPTY}    cents=${0}    colour=red
    ${answer}=    POST On Session    billing    /invoices    json=${body}    expected_status=400
    Length Should Be    ${answer.json()}[errors]    3
    POST On Session    billing    /invoices    data=no json    expected_status=400
    ${after}=    Number Of Invoices
    Should Be Equal As Integers    ${before}    ${after}

An Unknown Invoice Or Path Is Not Found
    GET On Session    billing    /invoices/999999999    expected_status=404
    POST On Session    billing    /invoices/999999999/pay    expected_status=404
    GET On Session    billing    /nothing    expected_status=404

*** Keywords ***
Open Billing
    Create Session    billing    ${BASE_URL}
    Wait Until Keyword Succeeds    120s    0.5s    GET On Session    billing    /readyz

Bill
    [Arguments]    ${customer}    ${cents}
    ${body}=    Create Dictionary    customer=${customer}    cents=${cents}
    ${answer}=    POST On Session    billing    /invoices    json=${body}    expected_status=201
    RETURN    ${answer.json()}
