unpack
$agenda_tool/bin/agenda < agenda.json > $out
