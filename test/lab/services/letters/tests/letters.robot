*** Settings ***
Documentation     What letters promises, seen through its API.
Library           RequestsLibrary
Library           Collections
Suite Setup       Open Letters

*** Test Cases ***
The Files Are In HDFS And The Words In Elasticsearch Themselves
    ${answer}=    GET On Session    letters    /readyz
    Should Start With    ${answer.json()}[hdfs]    3.4.
    Should Start With    ${answer.json()}[elasticsearch]    8.19.

A Letter Is Kept As It Is, And Found By Its Words
    ${letter}=    Create Dictionary    id=l-1    text=Dear Ada, greetings from Zürich and 漢字
    ${other}=    Create Dictionary    id=l-2    text=Dear Bob, the harbour is closed
    POST On Session    letters    /letters    json=${letter}    expected_status=201
    POST On Session    letters    /letters    json=${other}    expected_status=201
    ${answer}=    GET On Session    letters    /letters/l-1
    Dictionaries Should Be Equal    ${answer.json()}    ${letter}
    ${found}=    GET On Session    letters    /letters    params=word=Harbour
    ${expected}=    Create List    l-2
    Lists Should Be Equal    ${found.json()}    ${expected}
    ${found}=    GET On Session    letters    /letters    params=word=dear
    ${expected}=    Create List    l-1    l-2
    Lists Should Be Equal    ${found.json()}    ${expected}

An Unknown Letter Is Not Found
    GET On Session    letters    /letters/nowhere    expected_status=404

*** Keywords ***
Open Letters
    Create Session    letters    ${BASE_URL}
    Wait Until Keyword Succeeds    120s    0.5s    GET On Session    letters    /readyz

*** Variables ***
${BASE_URL}       %{BASE_URL=http://127.0.0.1:8080}
