*** Settings ***
Documentation     What pulse promises, seen through its API.
Library           RequestsLibrary
Suite Setup       Open Pulse

*** Variables ***
${BASE_URL}       %{BASE_URL=http://127.0.0.1:8080}

*** Test Cases ***
It Answers With Its Version
    ${answer}=    GET On Session    pulse    /
    Should Match Regexp    ${answer.json()}[version]    ^\\d+\\.\\d+\\.\\d+$

An Unknown Page Is Not Found
    GET On Session    pulse    /elsewhere    expected_status=404

*** Keywords ***
Open Pulse
    Create Session    pulse    ${BASE_URL}
    Wait Until Keyword Succeeds    60s    0.5s    GET On Session    pulse    /readyz
