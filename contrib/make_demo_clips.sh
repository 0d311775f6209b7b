#!/usr/bin/env bash
# Draws the demo provider's six clips (plexbridge/demo/clips/1.ts .. 6.ts) with ffmpeg.
#
# usage: contrib/make_demo_clips.sh [NUMBER ...]      (default: all six)
# needs: ffmpeg 5.1 or newer with libx264 and freetype, the DejaVu fonts. Only this script does;
#        serving the clips needs no ffmpeg.
#
# Why 8 seconds: 200 video frames (1/25 s) and 375 AAC frames (1024/48000 s) both fill them
# exactly, so one loop later every timestamp has moved by exactly 720,000 ticks of 90 kHz.
# Why three loops are encoded and the middle one cut out: there the encoders are in their stride,
# so that sound and rate control run over the seam without a click or a jump.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
clips="$root/plexbridge/demo/clips"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

P='(2*PI*T/8)' # the phase of a loop: pictures made of whole multiples of it have no seam
HOLD='loop=loop=199:size=1,setpts=N/(25*TB)' # one drawn picture, held for the loop

# inside EXPR: a soft mask, 1 where EXPR (a distance in pixels) is positive
inside() { printf 'clip(%s+0.5,0,1)' "$1"; }

# planes LAYER...: layers laid over each other, each "MASK | RED | GREEN | BLUE" in geq's terms
planes() {
    local plane out='' mask red green blue colour
    for plane in r g b; do
        out+="$plane='"
        while IFS='|' read -r mask red green blue; do
            case $plane in r) colour=$red ;; g) colour=$green ;; b) colour=$blue ;; esac
            out+="st(0,ld(0)+(($colour)-ld(0))*clip($mask,0,1));"
        done < <(printf '%s\n' "$@")
        out+="clip(ld(0),0,255)':"
    done
    printf '%s' "${out//[[:space:]]/}"
}

# still LAYER...: a whole picture; sprite WIDTH HEIGHT MASK LAYER...: a see-through one. Drawn once.
still() { printf 'color=black:s=640x360:r=25:d=0.04,format=gbrp,geq=%s,%s' "$(planes "$@" | sed 's/:$//')" "$HOLD"; }
sprite() {
    local size="$1x$2" mask=${3//[[:space:]]/}
    shift 3
    printf "color=black:s=%s:r=25:d=0.04,format=gbrap,geq=%sa='255*%s',%s" "$size" "$(planes "$@")" "$mask" "$HOLD"
}

# veil WIDTH HEIGHT COLOUR ALPHA: one colour whose opacity moves; only this is drawn for each frame
veil() { printf "color=%s:s=%sx%s:r=25:d=8,format=gbrap,geq=r='p(X,Y)':g='p(X,Y)':b='p(X,Y)':a='255*clip(%s,0,1)'" "$3" "$1" "$2" "$4"; }

# gear RADIUS TEETH RED GREEN BLUE: a gear in the middle of a square of side 2*RADIUS+20
gear() {
    local c=$(($1 + 10)) away angle
    away="hypot(X-$c,Y-$c)" angle="atan2(Y-$c,X-$c)"
    sprite $((2 * c)) $((2 * c)) \
        "$(inside "min($1+7*clip(2.2*sin($2*$angle),-1,1)-$away,$away-$1*0.22)")" \
        "1|$3|$4|$5" "$(inside "min($1*0.78-$away,$away-$1*0.4)")*gt(cos(5*$angle),-0.45)|$3*0.55|$4*0.55|$5*0.55"
}
# hand SIDE LENGTH HALFWIDTH RED GREEN BLUE: a clock hand at twelve, its axis in the square's middle
hand() {
    sprite "$1" "$1" "$(inside "min($3-abs(X-$1/2),min($1/2+16-Y,Y-$1/2+$2))")" "1|$4|$5|$6"
}
# turning ANGLE: a sprite turned about its middle; over X Y: a sprite laid on the picture so far
turning() { printf "rotate=a='%s':c=none:bilinear=1" "$1"; }
over() { printf "overlay=format=gbrp:x='%s':y='%s'" "$1" "$2"; }

harbour() {
    local glow='pow(clip(Y/205,0,1),2)'
    cat <<GRAPH
$(still "1|30+215*$glow|38+105*$glow|88+20*$glow" \
        "0.75*exp(-hypot(X-440,Y-170)/80)|255|170|96" \
        "$(inside '40-hypot(X-440,Y-170)')|255|222|160" \
        "$(inside 'Y-(190-22*exp(-pow((X-120)/90,2))-8*sin(X/23)*exp(-X/260))')|58|48|84" \
        "$(inside 'Y-205')|30-Y*0.03|76-Y*0.06|118-Y*0.1")[base];
$(veil 640 155 0x78A8C8 "0.34*pow(0.5+0.5*sin(160/(1+Y/26)+$P*5+1.5*sin(X*0.02*(1+26/(Y+9))+$P)),4)")[swell];
$(veil 640 155 0xFFC88C "exp(-abs(X-440+5*sin(Y*0.4+$P*3))/(16+Y*0.4))*(0.35+0.65*pow(0.5+0.5*sin(150/(1+Y/26)+$P*5),2))")[glint];
$(sprite 96 100 "max(max($(inside 'min(min(Y-78,94-Y),(46-abs(X-48))-(Y-78)*0.9)'),\
$(inside 'min(min(X-49,74-Y),((Y-4)*0.6-(X-49))*0.85)')),$(inside 'min(min(46-X,74-Y),((Y-16)*0.55-(46-X))*0.85)'))" \
        '1|236|232|224' "$(inside 'X-48')*lt(Y,76)|252|244|228" "lt(X,48)*lt(Y,76)|232|96|72" 'gt(Y,77)|84|44|48')[boat];
[base][swell]$(over 0 205)[a1];[a1][glint]$(over 0 205)[a2];
[a2][boat]$(over '92*t-96' '126+3*sin(2*PI*t/2)')[scene]
GRAPH
}

northern_lights() {
    local back="(60+18*sin(X/47+$P)+9*sin(X/20-$P*2))" front="(88+15*sin(X/60-$P+2)+8*sin(X/26+$P*2))"
    local dice='(sin(floor(X/2)*12.9898+floor(Y/2)*78.233)*43758.5453)'
    cat <<GRAPH
$(still '1|6+Y*0.03|10+Y*0.08|36+Y*0.14' "gt($dice-floor($dice),0.9975)|235|240|255")[base];
$(veil 320 180 0x9A48E0 "0.85*if(lt(Y,$back),exp((Y-$back)/28),exp(($back-Y)/5))*(0.7+0.3*sin(X/4+3*sin(X/30+$P)))"),scale=640:360[violet];
$(veil 320 180 0x3CF096 "0.95*if(lt(Y,$front),exp((Y-$front)/34),exp(($front-Y)/5))*(0.74+0.26*sin(X/5-3*sin(X/40-$P)))"),scale=640:360[green];
$(sprite 640 360 "$(inside 'Y-(286-22*sin(X/71)-14*sin(X/29+1)-5*abs(sin(X/7)))')" '1|6|13|22')[ridge];
[base][violet]$(over 0 0)[a1];[a1][green]$(over 0 0)[a2];[a2][ridge]$(over 0 0)[scene]
GRAPH
}

clockwork() {
    local tick='2*PI*(floor(t)+1-pow(1-min(1,mod(t,1)*5),2))/8'
    cat <<GRAPH
$(still '1|92-hypot(X-430,Y-140)*0.13|56-hypot(X-430,Y-140)*0.085|38-hypot(X-430,Y-140)*0.055')[base];
$(gear 72 18 156 104 54),$(turning '2*PI*t*4/8/18')[g1];$(gear 52 13 196 140 74),$(turning '-2*PI*t*4/8/13+0.06')[g2];
$(gear 84 21 140 92 50),$(turning '-2*PI*t*4/8/21')[g3];$(gear 48 12 182 124 64),$(turning '2*PI*t*4/8/12')[g4];
$(sprite 260 260 "$(inside '126-hypot(X-130,Y-130)')" '1|208|156|80' "$(inside '113-hypot(X-130,Y-130)')|250|242|222" \
        "$(inside 'min(min(hypot(X-130,Y-130)-92,106-hypot(X-130,Y-130)),2.5-abs(mod(atan2(Y-130,X-130)+4*PI+PI/12,PI/6)-PI/12)*100)')|70|52|40")[face];
$(hand 260 60 4.5 60 44 34),$(turning '1+2*PI*t/8/12')[hour];$(hand 260 92 2 204 52 40),$(turning "$tick")[second];
$(sprite 20 20 "$(inside '7.5-hypot(X-10,Y-10)')" '1|204|52|40')[pin];
[base][g1]$(over 152 12)[a1];[a1][g2]$(over 42 102)[a2];[a2][g3]$(over 508 176)[a3];[a3][g4]$(over 544 42)[a4];
[a4][face]$(over 292 14)[a5];[a5][hour]$(over 292 14)[a6];[a6][second]$(over 292 14)[a7];[a7][pin]$(over 412 134)[scene]
GRAPH
}

# puff X Y RADIUS: one ball of a cloud; rolls LAPS: the layer passes by LAPS times a loop
puff() { inside "($3-hypot(X-$1,(Y-$2)*1.5))*0.3"; }
rolls() { printf 'format=yuva444p,scroll=horizontal=%s/200,format=gbrap' "$1"; }
meadow() {
    local ramp='2*PI*X/640' clouds='0' one
    for one in '120 70 50' '160 52 44' '196 72 40' '430 96 44' '470 82 38' '330 40 30' '362 34 26'; do
        # shellcheck disable=SC2086 # three words on purpose
        clouds="max($clouds,$(puff $one))"
    done
    cat <<GRAPH
$(still '1|112+Y*0.4|182+Y*0.22|240-Y*0.04' '0.8*exp(-hypot(X-520,Y-76)/60)|255|244|190' \
        "$(inside '36-hypot(X-520,Y-76)')|255|228|110")[base];
$(sprite 640 130 "0.93*$clouds" '1|250|252|255'),$(rolls 1)[clouds];
$(sprite 640 240 "$(inside "Y-(56-24*sin($ramp*2)-8*sin($ramp*5))")" '1|150-Y*0.1|198-Y*0.1|122')[far];
$(sprite 640 240 "$(inside "Y-(92-20*sin($ramp*3+1)-6*sin($ramp*7))")" '1|110-Y*0.1|174-Y*0.12|88'),$(rolls 1)[mid];
$(sprite 640 240 "max($(inside "Y-(140-16*sin($ramp*2+2)-4*sin($ramp*5))"),$(inside '5-hypot(mod(X,128)-64,Y-(142-16*sin(2*PI*(floor(X/128)*128+64)/640*2+2)))'))" \
        '1|64-Y*0.08|140-Y*0.16|66' "$(inside '5-hypot(mod(X,128)-64,Y-(142-16*sin(2*PI*(floor(X/128)*128+64)/640*2+2)))')|255|214|80" \
        "$(inside '4-hypot(mod(X+40,80)-40,Y-182)')|250|140|170"),$(rolls 2)[near];
[base][clouds]$(over 0 0)[a1];[a1][far]$(over 0 120)[a2];[a2][mid]$(over 0 120)[a3];[a3][near]$(over 0 120)[scene]
GRAPH
}

test_card() {
    local away='hypot(X-330,Y-135)'
    cat <<GRAPH
$(still '1|86|92|100' 'max(lt(mod(X+10,40),1.5),lt(mod(Y+5,40),1.5))|178|184|190' \
        "$(inside "128-$away")|24|26|30" "$(inside "min(125-$away,70-Y)")|236|236|236" \
        "$(inside "min(125-$away,min(Y-70,150-Y))")|200*lt(mod(floor((X-202)/32),4),2)|200*lt(floor((X-202)/32),4)|200*eq(mod(floor((X-202)/32),2),0)" \
        "$(inside "min(125-$away,min(Y-150,182-Y))")|floor((X-205)/25)*28|floor((X-205)/25)*28|floor((X-205)/25)*28" \
        "$(inside "min(125-$away,Y-182)")|128+110*sin((X-330)*(X-330)/420)|128+110*sin((X-330)*(X-330)/420)|128+110*sin((X-330)*(X-330)/420)")[base];
$(hand 260 122 2.5 255 255 255),$(turning '2*PI*t/8')[sweep];
$(sprite 20 20 "$(inside '8-hypot(X-10,Y-10)')" '1|255|255|255')[pin];
$(sprite 40 40 "$(inside '16-hypot(X-20,Y-20)')" '1|255|214|64')[yellow];
$(sprite 40 40 "$(inside '16-hypot(X-20,Y-20)')" '1|70|214|255')[cyan];
[base][sweep]$(over 200 5)[a1];[a1][pin]$(over 320 125)[a2];
[a2][yellow]$(over 130 '115+90*sin(2*PI*t/4)')[a3];[a3][cyan]$(over 490 '115+90*cos(2*PI*t/4)')[scene]
GRAPH
}

# train RED GREEN BLUE: seen from the side, windows and all
train() {
    sprite 76 24 "$(inside 'min(min(X-1,74-X),min(Y-1,22-Y))')" "1|$1|$2|$3" \
        "$(inside 'min(min(min(X-6,70-X),min(Y-6,15-Y)),abs(mod(X,13)-6)-1.5)')|24|26|44"
}
# stops RADIUS X,Y...: round marks
stops() {
    local out=0 radius=$1 one
    shift
    for one in "$@"; do out="max($out,clip($radius-hypot(X-${one%,*},Y-${one#*,}),0,1))"; done
    printf '%s' "$out"
}
# bend FROM RISE AT X: a line's height at X, climbing by RISE around AT
bend() { printf '(%s+%s*(atan((%s-%s)/12)/PI+0.5))' "$1" "$2" "$4" "$3"; }
metro() {
    local rose amber sky ride1='mod(t*95,760)-76' ride2='640-mod(t*95+300,760)' ride3='mod(t*190+420,760)-76'
    rose=$(bend 70 60 250 X) amber=$(bend 226 -120 400 X) sky=$(bend 158 66 320 X)
    cat <<GRAPH
$(still '1|18|22|38' 'max(lt(mod(X,32),1),lt(mod(Y,32),1))|30|36|56' \
        "$(inside "5-abs(Y-$rose)*0.8")|240|70|110" "$(inside "5-abs(Y-$amber)*0.8")|255|196|50" \
        "$(inside "5-abs(Y-$sky)*0.8")|60|190|235" \
        "$(stops 12 130,72 350,128 520,129 200,224 330,211 580,108 110,159 470,223 600,223)|18|22|38" \
        "$(stops 9 130,72 350,128 520,129 200,224 330,211 580,108 110,159 470,223 600,223)|255|255|255")[base];
$(train 255 116 150)[one];$(train 255 220 120)[two];$(train 140 222 252)[three];
[base][one]$(over "$ride1" "$(bend 70 60 250 "($ride1+38)")-12")[a1];
[a1][two]$(over "$ride2" "$(bend 226 -120 400 "($ride2+38)")-12")[a2];
[a2][three]$(over "$ride3" "$(bend 158 66 320 "($ride3+38)")-12")[scene]
GRAPH
}

picture() {
    case $1 in
    1) harbour ;; 2) northern_lights ;; 3) clockwork ;; 4) meadow ;; 5) test_card ;; 6) metro ;;
    esac
}

name() {
    case $1 in
    1) echo 'Harbour' ;; 2) echo 'Northern Lights' ;; 3) echo 'Clockwork' ;;
    4) echo 'Meadow' ;; 5) echo 'Test Card' ;; 6) echo 'Metro' ;;
    esac
}

accent() {
    case $1 in
    1) echo 0xE65C48 ;; 2) echo 0x2FBF86 ;; 3) echo 0xB9802F ;;
    4) echo 0x3F8F45 ;; 5) echo 0x3D6FE0 ;; 6) echo 0xE83E74 ;;
    esac
}

# Sound, 8 s long: every frequency is a whole multiple of 1/8 Hz, every strike has died by its end.
strike() { printf 'sin(2*PI*%s*t)*exp(-%s*mod(t+%s,%s))*min(1,200*mod(t+%s,%s))' "$1" "$2" "$3" "$4" "$3" "$4"; }
sound() {
    local swell='(0.6+0.4*sin(2*PI*t/4))'
    case $1 in
    1) echo "0.06*$swell*(sin(2*PI*196*t)+sin(2*PI*247*t)+sin(2*PI*294*t))" ;;
    2) echo "0.05*(sin(2*PI*330*t)*(0.5+0.5*sin(2*PI*t/8))+sin(2*PI*415*t)*(0.5+0.5*sin(2*PI*t/4+1))+sin(2*PI*494*t)*(0.5+0.5*sin(2*PI*t/2+2))+sin(2*PI*165*t))" ;;
    3) echo "0.14*($(strike 1760 60 0 1)+$(strike 1320 60 0.5 1))+0.05*$(strike 220 2.5 0 4)" ;;
    4) echo "0.08*($(strike 523 5 0 2)+$(strike 659 5 1.5 2)+$(strike 784 5 1 2)+$(strike 1047 5 0.5 2))" ;;
    5) echo "0.08*sin(2*PI*1000*t)" ;;
    6) echo "0.1*$(strike 110 7 0 0.5)+0.07*($(strike 880 6 0 4)+$(strike 698 6 3.5 4))" ;;
    esac
}

draw() {
    local n=$1 colour
    colour=$(accent "$n")
    cat >"$work/$n.graph" <<GRAPH
$(picture "$n");
$(sprite 640 150 '0.7*pow(Y/150,1.3)' '1|0|0|0')[shade];
color=$colour:s=640x6:r=25:d=8[bar];
[scene]format=yuv420p[plain];[plain][shade]overlay=0:210[dark];
[dark][bar]overlay=x='-w+w*(t+0.04)/8':y=H-6[based];
[based]drawtext=font='DejaVu Sans':text='$n':fontsize=40:fontcolor=white:x=38-text_w/2+4:y=24:
box=1:boxcolor=$colour@0.95:boxborderw=12,
drawtext=font='DejaVu Sans':text='$(name "$n")':fontsize=58:fontcolor=white:x=28:y=258:
shadowcolor=black@0.55:shadowx=2:shadowy=3,
drawtext=font='DejaVu Sans':text='PlexBridge demo':fontsize=17:fontcolor=white@0.85:x=32:y=322,
drawtext=font='DejaVu Sans Mono':timecode='00\:00\:00\:00':rate=25:fontsize=21:fontcolor=white:
x=w-tw-28:y=318:box=1:boxcolor=black@0.45:boxborderw=6,
loop=loop=2:size=200:start=0,setpts=N/(25*TB)[v];
aevalsrc=exprs='$(sound "$n")':s=48000:d=8,aloop=loop=2:size=384000,asetpts=N/SR/TB,
pan=stereo|c0=c0|c1=c0[a]
GRAPH
    ffmpeg -nostdin -v error -y -filter_complex_script "$work/$n.graph" -map '[v]' -map '[a]' \
        -c:v libx264 -preset veryslow -profile:v main -level 3.0 -bf 0 -refs 3 \
        -g 25 -keyint_min 25 -sc_threshold 0 -b:v 320k -maxrate 480k -bufsize 480k \
        -c:a aac -b:a 64k -ar 48000 -t 24 -f nut "$work/$n.nut"
    # times are counted from the AAC encoder's lead-in, 1024/48000 s before zero: 8.0213 is 8 s
    ffmpeg -nostdin -v error -y -i "$work/$n.nut" -ss 8.0213 -t 8 -map 0 -c copy \
        -flags +bitexact -fflags +bitexact -map_metadata -1 \
        -metadata service_provider='PlexBridge demo' -metadata service_name="$(name "$n")" \
        -mpegts_service_id "$n" -pes_payload_size 900 -pat_period 0.25 -sdt_period 2 \
        -muxdelay 0.4 -muxpreload 0.4 -f mpegts "$clips/$n.ts"
    printf '%s: %s bytes\n' "$(name "$n")" "$(wc -c <"$clips/$n.ts")"
}

mkdir -p "$clips"
for number in "${@:-1 2 3 4 5 6}"; do
    for one in $number; do draw "$one"; done
done
